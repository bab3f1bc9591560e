#include "lib/policy/reader.h"

#include "lib/policy/brief.h"
#include "lib/policy/conform.h"
#include "lib/policy/extension.h"

#define ARGS_MOST 2

void aicpi_policy_reader_start(
    aicpi_policy_reader *r,
    aicpi_policy_intern *intern,
    aicpi_arena *scratch,
    const char *data,
    size_t len) {
    aicpi_json_init(&r->json, scratch, data, len, 0);
    r->intern = intern;
    r->count = 0;
    r->named = false;
}

void aicpi_policy_reader_deinit(aicpi_policy_reader *r) {
    aicpi_free(&r->allocator, r->stack);
    r->stack = NULL;
}

static bool nomem(aicpi_policy_reader *r) {
    return aicpi_json_fail(&r->json, AICP_ERR_NOMEM, r->json.pos, "out of memory");
}

static bool intern(aicpi_policy_reader *r, aicpi_slice text, const aicpi_policy_str **out) {
    *out = aicpi_policy_intern_str(r->intern, text);
    return *out || nomem(r);
}

static bool push(aicpi_policy_reader *r, const aicpi_policy_str *key, aicpi_policy_value value) {
    if (!aicpi_grow(&r->allocator, (void **)&r->stack, &r->capacity, r->count, sizeof *r->stack)) {
        return nomem(r);
    }
    r->stack[r->count++] =
        (aicpi_policy_field){.hash = key ? key->hash : 0, .key = key, .value = value};
    return true;
}

/* ---- entity uids ---- */

bool aicpi_policy_read_type(aicpi_policy_reader *r, const aicpi_policy_str **out) {
    size_t at = aicpi_json_offset(&r->json);
    aicpi_slice text;
    if (!aicpi_json_string(&r->json, &text)) {
        return false;
    }
    if (!aicpi_policy_is_path(text)) {
        return aicpi_json_fail(
            &r->json,
            AICP_ERR_PARSE,
            at,
            "'%s' is not an entity type",
            aicpi_policy_brief_of(text).text);
    }
    return intern(r, text, out);
}

static bool read_id(aicpi_policy_reader *r, const aicpi_policy_str **out) {
    aicpi_slice text;
    return aicpi_json_string(&r->json, &text) && intern(r, text, out);
}

static bool make_uid(
    aicpi_policy_reader *r,
    size_t at,
    const aicpi_policy_str *type,
    const aicpi_policy_str *id,
    const aicpi_policy_uid **out) {
    if (!aicpi_json_ok(&r->json)) {
        return false;
    }
    if (!type || !id) {
        return aicpi_json_fail(&r->json, AICP_ERR_PARSE, at, "an entity needs \"type\" and \"id\"");
    }
    *out = aicpi_policy_intern_uid(r->intern, type, id);
    return *out || nomem(r);
}

/* {"type":…,"id":…}; other keys mean nothing. */
static bool read_plain_uid(aicpi_policy_reader *r, const aicpi_policy_uid **out) {
    size_t at = aicpi_json_offset(&r->json);
    const aicpi_policy_str *type = NULL;
    const aicpi_policy_str *id = NULL;
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(&r->json, &key);) {
        if (aicpi_slice_is(key, "type")) {
            aicpi_policy_read_type(r, &type);
        } else if (aicpi_slice_is(key, "id")) {
            read_id(r, &id);
        } else {
            aicpi_json_skip(&r->json);
        }
    }
    return make_uid(r, at, type, id, out);
}

bool aicpi_policy_read_uid(aicpi_policy_reader *r, const aicpi_policy_uid **out) {
    size_t at = aicpi_json_offset(&r->json);
    const aicpi_policy_str *type = NULL;
    const aicpi_policy_str *id = NULL;
    const aicpi_policy_uid *escaped = NULL;
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(&r->json, &key);) {
        if (aicpi_slice_is(key, "type")) {
            aicpi_policy_read_type(r, &type);
        } else if (aicpi_slice_is(key, "id")) {
            read_id(r, &id);
        } else if (aicpi_slice_is(key, "__entity")) {
            read_plain_uid(r, &escaped);
        } else {
            aicpi_json_skip(&r->json);
        }
    }
    if (escaped && aicpi_json_ok(&r->json)) {
        *out = escaped;
        return true;
    }
    return make_uid(r, at, type, id, out);
}

/* ---- extension values ---- */

typedef struct call {
    const aicpi_policy_fn *known;
    int fn;
    size_t count;
    bool has_args;
    bool declared; /* short forms stand for extension values */
    aicpi_policy_value args[ARGS_MOST + 1];
} call;

static bool read_fn(aicpi_policy_reader *r, call *c) {
    size_t at = aicpi_json_offset(&r->json);
    aicpi_slice name;
    if (!aicpi_json_string(&r->json, &name)) {
        return false;
    }
    c->fn = aicpi_policy_fn_find(name);
    if (c->fn < 0) {
        return aicpi_json_fail(
            &r->json,
            AICP_ERR_PARSE,
            at,
            "unknown extension function '%s'",
            aicpi_policy_brief_of(name).text);
    }
    c->known = &aicpi_policy_fns[c->fn];
    return true;
}

static bool read_short_extension(aicpi_policy_reader *r, aicpi_policy_value *out);

static void read_arg(aicpi_policy_reader *r, call *c) {
    aicpi_policy_value *arg = &c->args[c->count < ARGS_MOST ? c->count : ARGS_MOST];
    c->count++;
    if (c->declared && aicpi_json_peek(&r->json) == AICPI_JSON_OBJECT) {
        read_short_extension(r, arg);
    } else {
        aicpi_policy_read_value(r, arg);
    }
}

static void read_args(aicpi_policy_reader *r, call *c) {
    c->has_args = true;
    c->count = 0;
    if (!aicpi_json_array(&r->json)) {
        return;
    }
    while (aicpi_json_element(&r->json)) {
        read_arg(r, c);
    }
}

/* Notes the text that a constructor made a value of. */
static bool
keep_text(aicpi_policy_reader *r, const aicpi_policy_str *text, aicpi_policy_value *value) {
    aicpi_policy_texts *t = r->texts;
    if (!t || t->count == UINT32_MAX) {
        return true;
    }
    if (!aicpi_grow(
            &r->allocator,
            (void **)&t->items,
            &t->capacity,
            t->count,
            sizeof(aicpi_policy_str *))) {
        return nomem(r);
    }
    t->items[t->count++] = text;
    value->text = (uint32_t)t->count;
    return true;
}

static bool do_call(aicpi_policy_reader *r, const call *c, size_t at, aicpi_policy_value *out) {
    aicpi_policy_fault fault;
    if (aicpi_policy_fn_call(c->fn, c->args, c->count, r->intern->arena, out, &fault)) {
        return c->args[0].kind != AICPI_POLICY_STRING || keep_text(r, c->args[0].u.string, out);
    }
    if (fault.kind == 0) {
        return nomem(r);
    }
    return aicpi_json_fail(
        &r->json,
        AICP_ERR_PARSE,
        at,
        "%s: %s",
        c->known->name,
        fault.reason ? fault.reason : "the argument has the wrong type");
}

/* The constructor of an extension type. */
static int constructor(uint32_t kind) {
    switch (kind) {
    case AICPI_POLICY_DECIMAL:
        return AICPI_POLICY_FN_DECIMAL;
    case AICPI_POLICY_IP:
        return AICPI_POLICY_FN_IP;
    case AICPI_POLICY_DATETIME:
        return AICPI_POLICY_FN_DATETIME;
    default:
        return AICPI_POLICY_FN_DURATION;
    }
}

/* Makes an extension value of a text. */
static bool construct(aicpi_policy_reader *r, uint32_t kind, size_t at, aicpi_policy_value *value) {
    int fn = constructor(kind);
    call c = {.known = &aicpi_policy_fns[fn], .fn = fn, .count = 1, .args = {*value}};
    return do_call(r, &c, at, value);
}

/* Checks that all is there. Texts may stand for extension values that the function wants. */
static bool complete_call(aicpi_policy_reader *r, call *c, size_t at) {
    uint32_t kinds[2];
    if (!aicpi_json_ok(&r->json)) {
        return false;
    }
    if (!c->known || !c->has_args) {
        return aicpi_json_fail(
            &r->json, AICP_ERR_PARSE, at, "an extension value needs \"fn\" and \"arg\"");
    }
    aicpi_policy_fn_argument_kinds(c->fn, kinds);
    for (size_t i = 0; c->declared && i < c->count && i < 2; i++) {
        if (c->args[i].kind == AICPI_POLICY_STRING && kinds[i] != AICPI_POLICY_STRING &&
            !construct(r, kinds[i], at, &c->args[i])) {
            return false;
        }
    }
    return true;
}

static void read_call_member(aicpi_policy_reader *r, aicpi_slice key, call *c) {
    if (aicpi_slice_is(key, "fn")) {
        read_fn(r, c);
    } else if (aicpi_slice_is(key, "arg")) {
        c->has_args = true;
        c->count = 0;
        read_arg(r, c);
    } else if (aicpi_slice_is(key, "args")) {
        read_args(r, c);
    } else {
        aicpi_json_skip(&r->json);
    }
}

/* {"fn":…,"arg":…} or {"fn":…,"args":[…]}. */
static bool read_extension(aicpi_policy_reader *r, bool declared, aicpi_policy_value *out) {
    size_t at = aicpi_json_offset(&r->json);
    call c = {.declared = declared};
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(&r->json, &key);) {
        read_call_member(r, key, &c);
    }
    return complete_call(r, &c, at) && do_call(r, &c, at, out);
}

/* The same where an extension value is expected: also within {"__extn":…}. */
static bool read_short_extension(aicpi_policy_reader *r, aicpi_policy_value *out) {
    size_t at = aicpi_json_offset(&r->json);
    call c = {.declared = true};
    bool escaped = false;
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    for (aicpi_slice key; aicpi_json_member(&r->json, &key);) {
        if (aicpi_slice_is(key, "__extn")) {
            escaped = read_extension(r, true, out);
        } else {
            read_call_member(r, key, &c);
        }
    }
    return (escaped && aicpi_json_ok(&r->json)) ||
           (complete_call(r, &c, at) && do_call(r, &c, at, out));
}

/* A text alone stands for what the type's constructor makes of it. */
static bool
read_declared_extension(aicpi_policy_reader *r, uint32_t kind, aicpi_policy_value *out) {
    size_t at = aicpi_json_offset(&r->json);
    if (aicpi_json_peek(&r->json) == AICPI_JSON_OBJECT) {
        return read_short_extension(r, out);
    }
    return aicpi_policy_read_value(r, out) &&
           (out->kind != AICPI_POLICY_STRING || construct(r, kind, at, out));
}

/* ---- records, sets, values ---- */

/* Moves the members above `base` from the stack into a record. */
static const aicpi_policy_record *pop_record(aicpi_policy_reader *r, size_t base) {
    size_t count = r->count - base;
    aicpi_policy_field *fields = aicpi_arena_alloc(r->intern->arena, count * sizeof *fields);
    if (!fields) {
        return NULL;
    }
    if (count > 0) {
        memcpy(fields, r->stack + base, count * sizeof *fields);
    }
    r->count = base;
    return aicpi_policy_record_make(r->intern->arena, fields, count);
}

static const aicpi_policy_set_value *pop_set(aicpi_policy_reader *r, size_t base) {
    size_t count = r->count - base;
    aicpi_policy_element *items = aicpi_arena_alloc(r->intern->arena, count * sizeof *items);
    if (!items) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        items[i].value = r->stack[base + i].value;
    }
    r->count = base;
    return aicpi_policy_set_make(r->intern->arena, items, count);
}

/* What the schema says about the members of an object: nothing (both NULL), their own types, or one
 * type for all. */
typedef struct members {
    const aicpi_policy_type *record;
    const aicpi_policy_type *each;
    const aicpi_policy_place *at;
} members;

static bool misfit(aicpi_policy_reader *r, size_t at) {
    return aicpi_json_fail(&r->json, AICP_ERR_POLICY_TYPE, at, "%s", r->conform->message);
}

static bool read_typed(
    aicpi_policy_reader *r,
    const aicpi_policy_type *type,
    const aicpi_policy_place *at,
    aicpi_policy_value *out);

static bool read_member(aicpi_policy_reader *r, const members *m, aicpi_slice key) {
    size_t at = aicpi_json_offset(&r->json);
    aicpi_policy_place place = {.above = m->at};
    const aicpi_policy_type *type = m->each;
    aicpi_policy_value value;
    if (!intern(r, key, &place.key)) {
        return false;
    }
    if (m->record) {
        type = aicpi_policy_conform_attr(r->conform, m->record, &place);
        if (!type) {
            return misfit(r, at);
        }
    }
    return read_typed(r, type, &place, &value) && push(r, place.key, value);
}

/* The members still to be read of an open object; those above `base` belong to it already. */
static bool read_members(
    aicpi_policy_reader *r, const members *m, size_t base, const aicpi_policy_record **out) {
    for (aicpi_slice key; aicpi_json_member(&r->json, &key);) {
        if (!read_member(r, m, key)) {
            return false;
        }
    }
    if (!aicpi_json_ok(&r->json)) {
        return false;
    }
    *out = pop_record(r, base);
    return *out || nomem(r);
}

static bool read_fields(aicpi_policy_reader *r, const members *m, const aicpi_policy_record **out) {
    size_t at = aicpi_json_offset(&r->json);
    if (!aicpi_json_object(&r->json) || !read_members(r, m, r->count, out)) {
        return false;
    }
    return !m->record || aicpi_policy_conform_whole(r->conform, m->at, m->record, *out) ||
           misfit(r, at);
}

bool aicpi_policy_read_record(aicpi_policy_reader *r, const aicpi_policy_record **out) {
    return read_fields(r, &(members){0}, out);
}

bool aicpi_policy_read_declared(
    aicpi_policy_reader *r, const aicpi_policy_type *type, const aicpi_policy_record **out) {
    return read_fields(r, &(members){.record = type}, out);
}

bool aicpi_policy_read_each(
    aicpi_policy_reader *r, const aicpi_policy_type *each, const aicpi_policy_record **out) {
    return read_fields(r, &(members){.each = each}, out);
}

bool aicpi_policy_read_attribute(
    aicpi_policy_reader *r,
    const aicpi_policy_type *type,
    const aicpi_policy_str *name,
    aicpi_policy_value *out) {
    aicpi_policy_place place = {.key = name};
    return read_typed(r, type, &place, out);
}

/* Whether the value at hand is the last of its object. A malformed text may be answered either way:
 * the reader will report it. */
static bool is_last_member(const aicpi_json *json) {
    size_t depth = 0;
    bool quoted = false;
    for (size_t p = json->pos; p < json->len; p++) {
        char c = json->data[p];
        if (quoted) {
            p += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) {
                return true;
            }
            depth--;
        } else if (c == ',' && depth == 0) {
            return false;
        }
    }
    return true;
}

/* The only member of an open object is an escape; reads it and the end of the object. */
static bool read_escape(aicpi_policy_reader *r, aicpi_slice key, aicpi_policy_value *out) {
    bool fine = false;
    if (aicpi_slice_is(key, "__entity")) {
        const aicpi_policy_uid *uid = NULL;
        fine = read_plain_uid(r, &uid);
        *out = aicpi_policy_of_entity(uid);
    } else if (aicpi_slice_is(key, "__extn")) {
        fine = read_extension(r, false, out);
    } else {
        aicpi_json_fail(&r->json, AICP_ERR_PARSE, r->json.pos, "__expr is not supported");
    }
    aicpi_slice none;
    return fine && !aicpi_json_member(&r->json, &none) && aicpi_json_ok(&r->json);
}

bool aicpi_policy_is_escape(aicpi_slice key) {
    return key.len >= 6 && key.data[0] == '_' &&
           (aicpi_slice_is(key, "__entity") || aicpi_slice_is(key, "__extn") ||
            aicpi_slice_is(key, "__expr"));
}

bool aicpi_policy_at_escape(const aicpi_policy_reader *r, aicpi_slice key) {
    return aicpi_policy_is_escape(key) && is_last_member(&r->json);
}

static bool read_object(aicpi_policy_reader *r, aicpi_policy_value *out) {
    static const members any = {0};
    size_t base = r->count;
    aicpi_slice key;
    if (!aicpi_json_object(&r->json)) {
        return false;
    }
    if (aicpi_json_member(&r->json, &key)) {
        if (aicpi_policy_at_escape(r, key)) {
            return read_escape(r, key, out);
        }
        if (!read_member(r, &any, key)) {
            return false;
        }
    } else if (aicpi_json_ok(&r->json)) {
        out->u.record = pop_record(r, base);
        out->kind = AICPI_POLICY_RECORD;
        return out->u.record || nomem(r);
    }
    out->kind = AICPI_POLICY_RECORD;
    return aicpi_json_ok(&r->json) && read_members(r, &any, base, &out->u.record);
}

static bool read_set(
    aicpi_policy_reader *r,
    const aicpi_policy_type *type,
    const aicpi_policy_place *at,
    aicpi_policy_value *out) {
    size_t base = r->count;
    aicpi_policy_place element = {.above = at};
    if (!aicpi_json_array(&r->json)) {
        return false;
    }
    while (aicpi_json_element(&r->json)) {
        aicpi_policy_value value;
        if (!read_typed(r, type, &element, &value) || !push(r, NULL, value)) {
            return false;
        }
    }
    if (!aicpi_json_ok(&r->json)) {
        return false;
    }
    out->u.set = pop_set(r, base);
    out->kind = AICPI_POLICY_SET;
    return out->u.set || nomem(r);
}

bool aicpi_policy_read_value(aicpi_policy_reader *r, aicpi_policy_value *out) {
    *out = aicpi_policy_of_none();
    switch (aicpi_json_peek(&r->json)) {
    case AICPI_JSON_BOOL:
        out->kind = AICPI_POLICY_BOOL;
        return aicpi_json_bool(&r->json, &out->u.boolean);
    case AICPI_JSON_NUMBER:
        out->kind = AICPI_POLICY_LONG;
        return aicpi_json_int64(&r->json, &out->u.integer);
    case AICPI_JSON_STRING: {
        aicpi_slice text;
        out->kind = AICPI_POLICY_STRING;
        return aicpi_json_string(&r->json, &text) && intern(r, text, &out->u.string);
    }
    case AICPI_JSON_ARRAY:
        return read_set(r, NULL, NULL, out);
    case AICPI_JSON_OBJECT:
        return read_object(r, out);
    case AICPI_JSON_NULL:
        return aicpi_json_fail(
            &r->json, AICP_ERR_PARSE, aicpi_json_offset(&r->json), "null is not a value");
    default:
        return false;
    }
}

/* ---- declared types ---- */

static bool read_by_kind(
    aicpi_policy_reader *r,
    const aicpi_policy_type *type,
    const aicpi_policy_place *at,
    aicpi_policy_value *out) {
    aicpi_json_type found = aicpi_json_peek(&r->json);
    switch (type->kind) {
    case AICPI_POLICY_ENTITY:
        if (found == AICPI_JSON_OBJECT) {
            out->kind = AICPI_POLICY_ENTITY;
            return aicpi_policy_read_uid(r, &out->u.entity);
        }
        break;
    case AICPI_POLICY_SET:
        if (found == AICPI_JSON_ARRAY) {
            return read_set(r, type->u.element, at, out);
        }
        break;
    case AICPI_POLICY_RECORD:
        if (found == AICPI_JSON_OBJECT) {
            out->kind = AICPI_POLICY_RECORD;
            return read_fields(r, &(members){.record = type, .at = at}, &out->u.record);
        }
        break;
    case AICPI_POLICY_DECIMAL:
    case AICPI_POLICY_IP:
    case AICPI_POLICY_DATETIME:
    case AICPI_POLICY_DURATION:
        return read_declared_extension(r, type->kind, out);
    default:
        break;
    }
    return aicpi_policy_read_value(r, out);
}

/* Puts the place before the message of a value that cannot be read, once. */
static bool name_place(aicpi_policy_reader *r, const aicpi_policy_place *at) {
    aicpi_json *json = &r->json;
    if ((json->status == AICP_ERR_PARSE || json->status == AICP_ERR_RANGE) && !r->named) {
        r->named = true;
        const char *text = r->conform->message;
        aicpi_policy_conform_fail(r->conform, at, "%s", json->message);
        const char *copy = aicpi_arena_strndup(json->arena, text, strlen(text));
        json->message = copy ? copy : json->message;
    }
    return false;
}

static bool read_typed(
    aicpi_policy_reader *r,
    const aicpi_policy_type *type,
    const aicpi_policy_place *at,
    aicpi_policy_value *out) {
    if (!type) {
        return aicpi_policy_read_value(r, out);
    }
    size_t offset = aicpi_json_offset(&r->json);
    *out = aicpi_policy_of_none();
    if (!read_by_kind(r, type, at, out)) {
        return name_place(r, at);
    }
    return aicpi_policy_conform_top(r->conform, at, type, *out) || misfit(r, offset);
}
