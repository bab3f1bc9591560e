/* JSON Schemas of field tables, for the OpenAPI document. */
#include "services/common/api/api_internal.h"

#include "lib/base/decimal.h"

#include <stdio.h>
#include <stdlib.h>

#define TIME_PATTERN                                                                               \
    "^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:"    \
    "[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
#define DECIMAL_MOST INT64_C(9223372036)

static void set_text(struct json_object *o, const char *name, const char *text) {
    aicps_set(o, name, aicps_json_text(text));
}

/* "string", or ["string", "null"]. */
static void set_type(struct json_object *o, const char *type, bool nullable) {
    if (!nullable) {
        set_text(o, "type", type);
        return;
    }
    struct json_object *list = json_object_new_array();
    (void)json_object_array_add(list, aicps_json_text(type));
    (void)json_object_array_add(list, aicps_json_text("null"));
    aicps_set(o, "type", list);
}

static bool bounded(const aicps_field *f) {
    return f->min != 0 || f->max != 0;
}

static void set_text_bounds(struct json_object *o, const aicps_field *f) {
    char pattern[512];
    if (bounded(f) && f->min > 0) {
        aicps_set(o, "minLength", json_object_new_int64(f->min));
    }
    aicps_set(o, "maxLength", json_object_new_int64(bounded(f) ? f->max : AICPS_TEXT_MAX));
    if (f->pattern) {
        (void)snprintf(pattern, sizeof pattern, "^(?:%s)$", f->pattern);
        set_text(o, "pattern", pattern);
    } else {
        set_text(o, "pattern", "^[^\\u0000]*$");
    }
}

static void set_enum(struct json_object *o, const aicps_field *f, bool nullable) {
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; f->values[i]; i++) {
        (void)json_object_array_add(list, aicps_json_text(f->values[i]));
    }
    if (nullable) {
        (void)json_object_array_add(list, NULL);
    }
    aicps_set(o, "enum", list);
}

static void set_decimal(struct json_object *o, const aicps_field *f, bool in, bool nullable) {
    struct json_object *number = in ? json_object_new_object() : o;
    int64_t low = bounded(f) ? f->min : -DECIMAL_MOST * AICPI_SECOND_NS;
    int64_t high = bounded(f) ? f->max : DECIMAL_MOST * AICPI_SECOND_NS;
    set_type(number, "number", nullable);
    if (!in) {
        return;
    }
    aicps_set(number, "minimum", aicps_json_nano(low));
    aicps_set(number, "maximum", aicps_json_nano(high));
    struct json_object *text = json_object_new_object();
    set_text(text, "type", "string");
    set_text(
        text,
        "pattern",
        low < 0 ? "^-?[0-9]{1,9}(\\.[0-9]{1,9})?$" : "^[0-9]{1,9}(\\.[0-9]{1,9})?$");
    set_text(text, "description", "The same as exact decimal text");
    struct json_object *list = json_object_new_array();
    (void)json_object_array_add(list, number);
    (void)json_object_array_add(list, text);
    aicps_set(o, "anyOf", list);
}

static void set_texts(struct json_object *o, const aicps_field *f, bool nullable) {
    struct json_object *item = json_object_new_object();
    set_type(o, "array", nullable);
    set_text(item, "type", "string");
    aicps_set(item, "maxLength", json_object_new_int64(AICPS_TEXT_MAX));
    set_text(item, "pattern", "^[^\\u0000]*$");
    aicps_set(o, "items", item);
    if (bounded(f) && f->min > 0) {
        aicps_set(o, "minItems", json_object_new_int64(f->min));
    }
    aicps_set(o, "maxItems", json_object_new_int64(bounded(f) ? f->max : AICPS_LIST_MAX));
}

struct json_object *aicps_schema_field(const aicps_column *c, bool in, bool filter) {
    const aicps_field *f = &c->field;
    struct json_object *o = json_object_new_object();
    bool nullable = c->nullable && !filter;
    switch (f->type) {
    case AICPS_TEXT:
    case AICPS_ID:
        set_type(o, "string", nullable);
        if (in) {
            set_text_bounds(o, f);
        }
        break;
    case AICPS_ENUM:
        set_type(o, "string", nullable);
        set_enum(o, f, nullable);
        break;
    case AICPS_INT:
        set_type(o, "integer", nullable);
        aicps_set(o, "minimum", json_object_new_int64(bounded(f) ? f->min : INT64_MIN));
        aicps_set(o, "maximum", json_object_new_int64(bounded(f) ? f->max : INT64_MAX));
        break;
    case AICPS_DECIMAL:
    case AICPS_MONEY:
        set_decimal(o, f, in && !filter, nullable);
        break;
    case AICPS_BOOL:
        set_type(o, "boolean", nullable);
        break;
    case AICPS_TIME:
        set_type(o, "string", nullable);
        set_text(o, in ? "pattern" : "format", in ? TIME_PATTERN : "date-time");
        break;
    case AICPS_OBJECT:
        set_type(o, "object", nullable);
        break;
    case AICPS_TEXTS:
        set_texts(o, f, nullable);
        break;
    default:
        break; /* any value */
    }
    if (f->doc && !filter) {
        set_text(o, "description", f->doc);
    }
    return o;
}

static void set_preset(struct json_object *schema, const aicps_field *f) {
    aicpi_arena arena;
    struct json_object *v = NULL;
    aicpi_arena_init(&arena, NULL, 0, 0);
    if (f->preset &&
        aicps_json_parse(&arena, f->preset, strlen(f->preset), 0, &v, NULL) == AICP_OK) {
        aicps_set(schema, "default", v);
    }
    aicpi_arena_deinit(&arena);
}

static void require(struct json_object *list, const char *name) {
    (void)json_object_array_add(list, aicps_json_text(name));
}

/* What comes out: every field is there. */
struct json_object *aicps_schema_row(const aicps_plan *plan) {
    struct json_object *o = json_object_new_object();
    struct json_object *properties = json_object_new_object();
    struct json_object *required = json_object_new_array();
    set_text(o, "type", "object");
    set_text(o, "title", plan->resource->title);
    if (plan->resource->doc) {
        set_text(o, "description", plan->resource->doc);
    }
    for (size_t i = 0; i < plan->column_count; i++) {
        const aicps_column *c = &plan->columns[i];
        struct json_object *schema = aicps_schema_field(c, false, false);
        if (c->field.flags & (AICPS_READ_ONLY | AICPS_COMPUTED)) {
            aicps_set(schema, "readOnly", json_object_new_boolean(1));
        }
        if (c->field.flags & AICPS_SECRET) {
            json_object_put(schema);
            schema = json_object_new_object();
            set_text(schema, "description", "null, or a mask");
        }
        aicps_set(properties, c->field.name, schema);
        if (!plan->resource->source) {
            require(required, c->field.name);
        }
        if (c->field.type == AICPS_MONEY && c->index >= 0) {
            char name[96];
            struct json_object *text = json_object_new_object();
            (void)snprintf(name, sizeof name, "%s_decimal", c->field.name);
            set_type(text, "string", c->nullable);
            set_text(text, "description", "The same amount as exact decimal text");
            aicps_set(properties, name, text);
        }
    }
    if (plan->version_index >= 0 && !aicps_plan_column(plan, "version", 7)) {
        struct json_object *version = json_object_new_object();
        set_text(version, "type", "integer");
        set_text(version, "description", "Counts changes; the ETag");
        aicps_set(properties, "version", version);
        require(required, "version");
    }
    aicps_set(o, "properties", properties);
    aicps_set(o, "required", required);
    return o;
}

/* What goes in; `filled` with presets, `needed` with what is required. */
static struct json_object *
body_schema(const aicps_column *columns, size_t count, bool filled, bool needed) {
    struct json_object *o = json_object_new_object();
    struct json_object *properties = json_object_new_object();
    struct json_object *required = json_object_new_array();
    uint32_t hidden = AICPS_READ_ONLY | AICPS_COMPUTED | AICPS_IN_PATH;
    hidden |= needed ? 0 : AICPS_WRITE_ONCE;
    set_text(o, "type", "object");
    for (size_t i = 0; i < count; i++) {
        const aicps_column *c = &columns[i];
        uint32_t flags = c->field.flags;
        if (flags & hidden) {
            continue;
        }
        struct json_object *schema = aicps_schema_field(c, true, false);
        if (filled) {
            set_preset(schema, &c->field);
        }
        if (flags & AICPS_SECRET) {
            aicps_set(schema, "writeOnly", json_object_new_boolean(1));
        }
        aicps_set(properties, c->field.name, schema);
        if (c->field.alias) {
            struct json_object *again = aicps_schema_field(c, true, false);
            aicps_set(again, "deprecated", json_object_new_boolean(1));
            aicps_set(properties, c->field.alias, again);
        } else if (needed && flags & AICPS_REQUIRED) {
            require(required, c->field.name);
        }
    }
    aicps_set(o, "properties", properties);
    aicps_set(o, "required", required);
    aicps_set(o, "additionalProperties", json_object_new_boolean(0));
    return o;
}

struct json_object *aicps_schema_body(const aicps_plan *plan, bool partial) {
    struct json_object *o = body_schema(plan->columns, plan->column_count, !partial, !partial);
    if (partial) {
        aicps_set(o, "minProperties", json_object_new_int(1));
    }
    return o;
}

struct json_object *aicps_schema_route(const aicps_route *route) {
    aicpi_arena arena;
    aicps_column *columns = NULL;
    struct json_object *o = NULL;
    aicpi_arena_init(&arena, NULL, 0, 0);
    if (aicps_columns_new(&arena, route->body, route->body_count, &columns, NULL) == AICP_OK) {
        o = body_schema(columns, route->body_count, !(route->flags & AICPS_PARTIAL), true);
        aicps_columns_free(columns, route->body_count);
    }
    aicpi_arena_deinit(&arena);
    return o;
}
