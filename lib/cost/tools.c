/* Tokens of tool definitions. OpenAI's models see them as text in the manner of TypeScript, which
 * is rendered and counted; for other families a fixed number per item is added to the texts. */
#include "lib/cost/request.h"

#include "lib/base/json.h"

enum { MAX_NESTING = 16, MAX_REQUIRED = 128 };

/* What of a JSON schema is looked at; spans are JSON text. */
typedef struct schema {
    aicpi_slice type;
    aicpi_slice description;
    aicpi_slice properties;
    aicpi_slice required;
    aicpi_slice items;
    aicpi_slice values; /* enum */
} schema;

typedef struct function {
    aicpi_slice name;
    aicpi_slice description;
    aicpi_slice parameters;
} function;

typedef struct tool_walk {
    const aicpi_tool_cost *cost;
    const aicpi_codec *codec;
    aicpi_arena *arena;
    aicpi_strbuf *out;
    aicpi_content_stats *stats;
    int64_t items; /* tokens by the table */
    int64_t texts; /* tokens of texts */
    aicp_status status;
    aicp_error *err;
} tool_walk;

static void finish(tool_walk *w, aicpi_json *r) {
    aicp_status status = aicpi_json_finish(r, w->status == AICP_OK ? w->err : NULL);
    w->status = w->status == AICP_OK ? status : w->status;
}

static void open_json(tool_walk *w, aicpi_json *r, aicpi_slice json) {
    aicpi_json_init(r, w->arena, json.data, json.len, 0);
}

/* A string, or nothing when it is something else. */
static void read_text(aicpi_json *r, aicpi_slice *out) {
    if (aicpi_json_peek(r) == AICPI_JSON_STRING) {
        (void)aicpi_json_string(r, out);
    } else {
        (void)aicpi_json_skip(r);
    }
}

static void read_span(aicpi_json *r, aicpi_json_type type, aicpi_slice *out) {
    if (aicpi_json_peek(r) == type) {
        (void)aicpi_json_span(r, out);
    } else {
        (void)aicpi_json_skip(r);
    }
}

/* ["string", "null"] means the first that is not null. */
static void read_type(aicpi_json *r, aicpi_slice *out) {
    if (aicpi_json_peek(r) != AICPI_JSON_ARRAY) {
        read_text(r, out);
        return;
    }
    if (!aicpi_json_array(r)) {
        return;
    }
    while (aicpi_json_element(r)) {
        aicpi_slice type = {NULL, 0};
        read_text(r, &type);
        if (out->len == 0 && !aicpi_slice_is(type, "null")) {
            *out = type;
        }
    }
}

static schema read_schema(tool_walk *w, aicpi_slice json) {
    schema s = {0};
    aicpi_json r;
    aicpi_slice key;
    if (json.len == 0) {
        return s;
    }
    open_json(w, &r, json);
    if (aicpi_json_peek(&r) == AICPI_JSON_OBJECT && aicpi_json_object(&r)) {
        while (aicpi_json_member(&r, &key)) {
            if (aicpi_slice_is(key, "type")) {
                read_type(&r, &s.type);
            } else if (aicpi_slice_is(key, "description")) {
                read_text(&r, &s.description);
            } else if (aicpi_slice_is(key, "properties")) {
                read_span(&r, AICPI_JSON_OBJECT, &s.properties);
            } else if (aicpi_slice_is(key, "required")) {
                read_span(&r, AICPI_JSON_ARRAY, &s.required);
            } else if (aicpi_slice_is(key, "items")) {
                read_span(&r, AICPI_JSON_OBJECT, &s.items);
            } else if (aicpi_slice_is(key, "enum")) {
                read_span(&r, AICPI_JSON_ARRAY, &s.values);
            } else {
                (void)aicpi_json_skip(&r);
            }
        }
        finish(w, &r);
    }
    return s;
}

/* Names in `required`. Those past the limit are taken for optional, which renders no shorter; so
 * the time stays linear in the length of the schema. */
typedef struct name_list {
    aicpi_slice *items;
    size_t count;
} name_list;

static name_list read_names(tool_walk *w, aicpi_slice list) {
    aicpi_json r;
    name_list names = {NULL, 0};
    if (list.len == 0) {
        return names;
    }
    names.items = aicpi_arena_alloc(w->arena, MAX_REQUIRED * sizeof *names.items);
    if (names.items == NULL) {
        w->status = w->status == AICP_OK ? aicpi_nomem(w->err) : w->status;
        return names;
    }
    open_json(w, &r, list);
    if (aicpi_json_array(&r)) {
        while (names.count < MAX_REQUIRED && aicpi_json_element(&r)) {
            aicpi_slice item = {NULL, 0};
            read_text(&r, &item);
            names.items[names.count] = item;
            names.count += item.data != NULL;
        }
    }
    return names;
}

static bool has_name(const name_list *names, aicpi_slice name) {
    for (size_t i = 0; i < names->count; i++) {
        if (aicpi_slice_eq(names->items[i], name)) {
            return true;
        }
    }
    return false;
}

static bool is_empty_object(tool_walk *w, aicpi_slice json) {
    aicpi_json r;
    aicpi_slice key;
    if (json.len == 0) {
        return true;
    }
    open_json(w, &r, json);
    return !(aicpi_json_object(&r) && aicpi_json_member(&r, &key));
}

/* ---- rendered ---- */

static void put(tool_walk *w, aicpi_slice text) {
    aicpi_strbuf_append(w->out, text.data, text.len);
}

static void indent(tool_walk *w, int depth) {
    for (int i = 0; i < depth; i++) {
        aicpi_strbuf_puts(w->out, "  ");
    }
}

static void render_values(tool_walk *w, aicpi_slice values) {
    aicpi_json r;
    bool first = true;
    open_json(w, &r, values);
    if (aicpi_json_array(&r)) {
        while (aicpi_json_element(&r)) {
            aicpi_slice value = {NULL, 0};
            bool text = aicpi_json_peek(&r) == AICPI_JSON_STRING;
            bool ok = text ? aicpi_json_string(&r, &value) : aicpi_json_span(&r, &value);
            aicpi_strbuf_puts(w->out, first ? "" : " | ");
            aicpi_strbuf_puts(w->out, text ? "\"" : "");
            if (ok) {
                put(w, value);
            }
            aicpi_strbuf_puts(w->out, text ? "\"" : "");
            first = false;
        }
    }
    finish(w, &r);
}

/* `depth` is the indent, `level` the nesting. */
static void render_properties(tool_walk *w, const schema *s, int depth, int level);

static void render_type(tool_walk *w, const schema *s, int depth, int level) {
    if (s->values.len > 0) {
        render_values(w, s->values);
    } else if (
        aicpi_slice_is(s->type, "string") || aicpi_slice_is(s->type, "boolean") ||
        aicpi_slice_is(s->type, "null")) {
        put(w, s->type);
    } else if (aicpi_slice_is(s->type, "number") || aicpi_slice_is(s->type, "integer")) {
        aicpi_strbuf_puts(w->out, "number");
    } else if (aicpi_slice_is(s->type, "array") && level < MAX_NESTING) {
        schema items = read_schema(w, s->items);
        render_type(w, &items, depth, level + 1);
        aicpi_strbuf_puts(w->out, "[]");
    } else if (aicpi_slice_is(s->type, "object") && level < MAX_NESTING) {
        aicpi_strbuf_puts(w->out, "{\n");
        render_properties(w, s, depth + 1, level + 1);
        indent(w, depth);
        aicpi_strbuf_puts(w->out, "}");
    } else {
        aicpi_strbuf_puts(w->out, "any");
    }
}

static void render_properties(tool_walk *w, const schema *s, int depth, int level) {
    aicpi_json r;
    aicpi_slice key;
    if (s->properties.len == 0) {
        return;
    }
    open_json(w, &r, s->properties);
    if (!aicpi_json_object(&r)) {
        return;
    }
    name_list required = read_names(w, s->required);
    while (aicpi_json_member(&r, &key)) {
        aicpi_slice json = {NULL, 0};
        if (!aicpi_json_span(&r, &json)) {
            break;
        }
        schema p = read_schema(w, json);
        if (p.description.len > 0) {
            indent(w, depth);
            aicpi_strbuf_puts(w->out, "// ");
            put(w, p.description);
            aicpi_strbuf_puts(w->out, "\n");
        }
        indent(w, depth);
        put(w, key);
        aicpi_strbuf_puts(w->out, has_name(&required, key) ? ": " : "?: ");
        render_type(w, &p, depth, level);
        aicpi_strbuf_puts(w->out, ",\n");
    }
    finish(w, &r);
}

static void render_function(tool_walk *w, const function *f) {
    if (f->description.len > 0) {
        aicpi_strbuf_puts(w->out, "// ");
        put(w, f->description);
        aicpi_strbuf_puts(w->out, "\n");
    }
    schema s = read_schema(w, f->parameters);
    aicpi_strbuf_puts(w->out, "type ");
    put(w, f->name);
    if (is_empty_object(w, s.properties)) {
        aicpi_strbuf_puts(w->out, " = () => any;\n\n");
        return;
    }
    aicpi_strbuf_puts(w->out, " = (_: {\n");
    render_properties(w, &s, 0, 0);
    aicpi_strbuf_puts(w->out, "}) => any;\n\n");
}

/* ---- by items ---- */

static void add_text(tool_walk *w, aicpi_slice text) {
    w->texts += (int64_t)aicpi_cost_count(w->codec, text.data, text.len);
    aicpi_cost_content_add(w->stats, text.data, text.len);
}

static void add_values(tool_walk *w, aicpi_slice values) {
    aicpi_json r;
    open_json(w, &r, values);
    w->items += w->cost->enumeration;
    if (aicpi_json_array(&r)) {
        while (aicpi_json_element(&r)) {
            aicpi_slice value = {NULL, 0};
            bool text = aicpi_json_peek(&r) == AICPI_JSON_STRING;
            if (text ? aicpi_json_string(&r, &value) : aicpi_json_span(&r, &value)) {
                add_text(w, value);
            }
        }
    }
    finish(w, &r);
}

static void add_properties(tool_walk *w, const schema *s, int depth) {
    aicpi_json r;
    aicpi_slice key;
    bool first = true;
    if (s->properties.len == 0 || depth == MAX_NESTING) {
        return;
    }
    open_json(w, &r, s->properties);
    if (!aicpi_json_object(&r)) {
        return;
    }
    while (aicpi_json_member(&r, &key)) {
        aicpi_slice json = {NULL, 0};
        if (!aicpi_json_span(&r, &json)) {
            break;
        }
        schema p = read_schema(w, json);
        w->items += first ? w->cost->first_property : w->cost->property;
        first = false;
        add_text(w, key);
        if (p.description.len > 0) {
            w->items += w->cost->property_description;
            add_text(w, p.description);
        }
        if (p.values.len > 0) {
            add_values(w, p.values);
        }
        schema items = read_schema(w, p.items);
        if (p.properties.len > 0) {
            w->items += w->cost->object;
            add_properties(w, &p, depth + 1);
        } else if (items.properties.len > 0) {
            w->items += w->cost->array_of_objects;
            add_properties(w, &items, depth + 1);
        }
    }
    finish(w, &r);
}

static void add_function(tool_walk *w, const function *f) {
    w->items += w->cost->tool;
    add_text(w, f->name);
    if (f->description.len > 0) {
        w->items += w->cost->description;
        add_text(w, f->description);
    }
    schema s = read_schema(w, f->parameters);
    add_properties(w, &s, 0);
}

/* ---- the array of tools ---- */

static void count_function(tool_walk *w, const function *f) {
    if (f->name.len == 0) {
        return; /* a tool of the provider's own, such as web search */
    }
    if (w->cost->rendered) {
        render_function(w, f);
    } else {
        add_function(w, f);
    }
}

static void read_tools(tool_walk *w, aicpi_json *r, int depth);

/* {"type":"function","function":{...}}, {"name",...,"input_schema"}, {"functionDeclarations":[...]}
 */
static void read_tool(tool_walk *w, aicpi_json *r, int depth) {
    aicpi_slice key;
    function f = {0};
    if (aicpi_json_peek(r) != AICPI_JSON_OBJECT) {
        (void)aicpi_json_skip(r);
        return;
    }
    if (!aicpi_json_object(r)) {
        return;
    }
    while (aicpi_json_member(r, &key)) {
        aicpi_json_type type = aicpi_json_peek(r);
        if (aicpi_slice_is(key, "name")) {
            read_text(r, &f.name);
        } else if (aicpi_slice_is(key, "description")) {
            read_text(r, &f.description);
        } else if (aicpi_slice_is(key, "parameters") || aicpi_slice_is(key, "input_schema")) {
            read_span(r, AICPI_JSON_OBJECT, &f.parameters);
        } else if (aicpi_slice_is(key, "function") && depth < 2) {
            read_tool(w, r, depth + 1);
        } else if (
            (aicpi_slice_is(key, "functionDeclarations") ||
             aicpi_slice_is(key, "function_declarations")) &&
            type == AICPI_JSON_ARRAY && depth < 2) {
            read_tools(w, r, depth + 1);
        } else {
            (void)aicpi_json_skip(r);
        }
    }
    if (aicpi_json_ok(r)) {
        count_function(w, &f);
    }
}

static void read_tools(tool_walk *w, aicpi_json *r, int depth) {
    if (aicpi_json_array(r)) {
        while (aicpi_json_element(r)) {
            read_tool(w, r, depth);
        }
    }
}

aicp_status aicpi_cost_tools_count(
    aicp_cost_request *request,
    aicpi_slice json,
    const aicp_token_profile *profile,
    const aicpi_codec *codec,
    aicpi_content_stats *stats,
    int64_t counts[2],
    aicp_error *err) {
    tool_walk w = {
        .cost = profile->tools,
        .codec = codec,
        .arena = &request->scratch,
        .out = &request->buffer,
        .stats = stats,
        .err = err,
    };
    aicpi_json r;
    aicpi_strbuf_clear(w.out);
    if (w.cost->rendered) {
        aicpi_strbuf_puts(w.out, "namespace functions {\n\n");
    }
    open_json(&w, &r, json);
    read_tools(&w, &r, 0);
    finish(&w, &r);
    if (w.status != AICP_OK) {
        return aicpi_error_prefix(err, w.status, "tools");
    }
    if (w.cost->rendered) {
        aicpi_strbuf_puts(w.out, "} // namespace functions");
        if (w.out->failed) {
            return aicpi_nomem(err);
        }
        add_text(&w, aicpi_slice_of(w.out->data, w.out->len));
    }
    counts[0] = w.texts;
    counts[1] = w.items + w.cost->exist + (request->has_system ? w.cost->with_system : 0);
    return AICP_OK;
}
