/* Schemas written again: the JSON form, and the choice of the syntax. */
#include "lib/policy/schema_decl.h"

#include "lib/base/error.h"

/* ---- JSON ---- */

/* Puts a comma before everything but the first member or element. */
typedef struct list {
    aicpi_strbuf *out;
    bool more;
} list;

static void next(list *l) {
    if (l->more) {
        aicpi_strbuf_putc(l->out, ',');
    }
    l->more = true;
}

static void put_text(aicpi_strbuf *out, const aicpi_policy_str *text) {
    aicpi_strbuf_json(out, text->data, text->len);
}

/* `key` needs no escapes. */
static void key(list *l, const char *name) {
    next(l);
    aicpi_strbuf_printf(l->out, "\"%s\":", name);
}

static void text_member(list *l, const char *name, const aicpi_policy_str *text) {
    key(l, name);
    put_text(l->out, text);
}

static void named_member(list *l, const aicpi_policy_str *name) {
    next(l);
    put_text(l->out, name);
    aicpi_strbuf_putc(l->out, ':');
}

static void put_annotations(list *l, const aicpi_policy_annotations *annotations) {
    if (annotations->count == 0) {
        return;
    }
    key(l, "annotations");
    aicpi_strbuf_putc(l->out, '{');
    list inner = {.out = l->out};
    for (uint32_t i = 0; i < annotations->count; i++) {
        named_member(&inner, annotations->items[i].key);
        put_text(l->out, annotations->items[i].value);
    }
    aicpi_strbuf_putc(l->out, '}');
}

static void type_members(list *l, const aicpi_policy_decl_type *type);

static void type_member(list *l, const char *name, const aicpi_policy_decl_type *type) {
    key(l, name);
    aicpi_strbuf_putc(l->out, '{');
    list inner = {.out = l->out};
    type_members(&inner, type);
    aicpi_strbuf_putc(l->out, '}');
}

static void put_attrs(list *l, const aicpi_policy_decl_type *record) {
    key(l, "attributes");
    aicpi_strbuf_putc(l->out, '{');
    list attrs = {.out = l->out};
    for (uint32_t i = 0; i < record->count; i++) {
        const aicpi_policy_decl_attr *attr = &record->u.attrs[i];
        named_member(&attrs, attr->key);
        aicpi_strbuf_putc(l->out, '{');
        list inner = {.out = l->out};
        type_members(&inner, attr->type);
        if (!attr->required) {
            key(&inner, "required");
            aicpi_strbuf_puts(l->out, "false");
        }
        put_annotations(&inner, &attr->annotations);
        aicpi_strbuf_putc(l->out, '}');
    }
    aicpi_strbuf_putc(l->out, '}');
}

static void word_member(list *l, const char *name, const char *word) {
    key(l, name);
    aicpi_strbuf_printf(l->out, "\"%s\"", word);
}

/* A common or built-in type stands in the place of the tags below; one with the name of a tag
 * needs the longer form. */
static void common_members(list *l, const aicpi_policy_str *name) {
    if (aicpi_slice_is(aicpi_policy_text(name), "EntityOrCommon")) {
        word_member(l, "type", "EntityOrCommon");
        text_member(l, "name", name);
    } else if (aicpi_slice_is(aicpi_policy_text(name), "Bool")) {
        word_member(l, "type", "Boolean");
    } else {
        text_member(l, "type", name);
    }
}

/* The members of a type's object. As deep as the type, which has a limit. */
static void type_members(list *l, const aicpi_policy_decl_type *type) {
    static const char *const tags[] = {
        [AICPI_POLICY_DECL_EITHER] = "EntityOrCommon",
        [AICPI_POLICY_DECL_ENTITY] = "Entity",
        [AICPI_POLICY_DECL_EXTENSION] = "Extension",
        [AICPI_POLICY_DECL_SET] = "Set",
        [AICPI_POLICY_DECL_RECORD] = "Record"};
    if (type->kind == AICPI_POLICY_DECL_COMMON) {
        common_members(l, type->u.name);
        return;
    }
    word_member(l, "type", tags[type->kind]);
    if (type->kind == AICPI_POLICY_DECL_SET) {
        type_member(l, "element", type->u.element);
    } else if (type->kind == AICPI_POLICY_DECL_RECORD) {
        put_attrs(l, type);
    } else {
        text_member(l, "name", type->u.name);
    }
}

static bool is_empty_record(const aicpi_policy_decl_type *type) {
    return type->kind == AICPI_POLICY_DECL_RECORD && type->count == 0;
}

static void type_list(list *l, const char *name, const aicpi_policy_decl_refs *refs) {
    key(l, name);
    aicpi_strbuf_putc(l->out, '[');
    list inner = {.out = l->out};
    for (uint32_t i = 0; i < refs->count; i++) {
        next(&inner);
        put_text(l->out, refs->items[i].type);
    }
    aicpi_strbuf_putc(l->out, ']');
}

static void action_list(list *l, const aicpi_policy_decl_refs *refs) {
    key(l, "memberOf");
    aicpi_strbuf_putc(l->out, '[');
    list inner = {.out = l->out};
    for (uint32_t i = 0; i < refs->count; i++) {
        next(&inner);
        aicpi_strbuf_putc(l->out, '{');
        list ref = {.out = l->out};
        text_member(&ref, "id", refs->items[i].id);
        if (refs->items[i].type) {
            text_member(&ref, "type", refs->items[i].type);
        }
        aicpi_strbuf_putc(l->out, '}');
    }
    aicpi_strbuf_putc(l->out, ']');
}

static void put_common(list *l, const aicpi_policy_decl_common *common) {
    named_member(l, common->name);
    aicpi_strbuf_putc(l->out, '{');
    list inner = {.out = l->out};
    type_members(&inner, common->type);
    put_annotations(&inner, &common->annotations);
    aicpi_strbuf_putc(l->out, '}');
}

static void put_entity(list *l, const aicpi_policy_decl_entity *entity) {
    named_member(l, entity->name);
    aicpi_strbuf_putc(l->out, '{');
    list inner = {.out = l->out};
    if (entity->parents.count > 0) {
        type_list(&inner, "memberOfTypes", &entity->parents);
    }
    if (entity->shape && !is_empty_record(entity->shape)) {
        type_member(&inner, "shape", entity->shape);
    }
    if (entity->tags) {
        type_member(&inner, "tags", entity->tags);
    }
    if (entity->id_count > 0) {
        key(&inner, "enum");
        aicpi_strbuf_putc(l->out, '[');
        list ids = {.out = l->out};
        for (uint32_t i = 0; i < entity->id_count; i++) {
            next(&ids);
            put_text(l->out, entity->ids[i]);
        }
        aicpi_strbuf_putc(l->out, ']');
    }
    put_annotations(&inner, &entity->annotations);
    aicpi_strbuf_putc(l->out, '}');
}

static void put_action(list *l, const aicpi_policy_decl_action *action) {
    named_member(l, action->id);
    aicpi_strbuf_putc(l->out, '{');
    list inner = {.out = l->out};
    if (action->parents.count > 0) {
        action_list(&inner, &action->parents);
    }
    if (action->applies) {
        key(&inner, "appliesTo");
        aicpi_strbuf_putc(l->out, '{');
        list applies = {.out = l->out};
        type_list(&applies, "principalTypes", &action->principals);
        type_list(&applies, "resourceTypes", &action->resources);
        if (action->context && !is_empty_record(action->context)) {
            type_member(&applies, "context", action->context);
        }
        aicpi_strbuf_putc(l->out, '}');
    }
    put_annotations(&inner, &action->annotations);
    aicpi_strbuf_putc(l->out, '}');
}

static void put_space(list *l, const aicpi_policy_decl_space *space) {
    named_member(l, space->name);
    aicpi_strbuf_putc(l->out, '{');
    list inner = {.out = l->out};
    put_annotations(&inner, &space->annotations);
    if (space->common_count > 0) {
        key(&inner, "commonTypes");
        aicpi_strbuf_putc(l->out, '{');
        list commons = {.out = l->out};
        for (size_t i = 0; i < space->common_count; i++) {
            put_common(&commons, &space->commons[i]);
        }
        aicpi_strbuf_putc(l->out, '}');
    }
    key(&inner, "entityTypes");
    aicpi_strbuf_putc(l->out, '{');
    list entities = {.out = l->out};
    for (size_t i = 0; i < space->entity_count; i++) {
        put_entity(&entities, &space->entities[i]);
    }
    aicpi_strbuf_putc(l->out, '}');
    key(&inner, "actions");
    aicpi_strbuf_putc(l->out, '{');
    list actions = {.out = l->out};
    for (size_t i = 0; i < space->action_count; i++) {
        put_action(&actions, &space->actions[i]);
    }
    aicpi_strbuf_puts(l->out, "}}");
}

static void write_json(const aicpi_policy_schema_decl *decl, aicpi_strbuf *out) {
    aicpi_strbuf_putc(out, '{');
    list spaces = {.out = out};
    for (size_t i = 0; i < decl->count && !out->failed; i++) {
        put_space(&spaces, decl->spaces[i]);
    }
    aicpi_strbuf_puts(out, "}\n");
}

/* ---- both ---- */

aicp_status aicp_policy_schema_write(
    const aicp_policy_schema *schema, int32_t format, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    if (format == AICP_POLICY_FORMAT_AUTO) {
        format = schema->decl->format;
    }
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &schema->allocator, AICPI_STRBUF_MAX);
    aicp_status status = AICP_OK;
    if (format == AICP_POLICY_FORMAT_JSON) {
        write_json(schema->decl, &b);
    } else if (format == AICP_POLICY_FORMAT_CEDAR) {
        status = aicpi_policy_schema_write_cedar(schema, &b, err);
    } else {
        status = aicpi_fail(err, AICP_ERR_INVALID, "there is no format %d", (int)format);
    }
    if (status != AICP_OK) {
        aicpi_strbuf_deinit(&b);
        return status;
    }
    return aicpi_strbuf_take(&b, out, err);
}
