/* Schemas in Cedar's syntax. */
#include "lib/policy/quote.h"
#include "lib/policy/schema_decl.h"

#include "lib/base/error.h"
#include "lib/policy/brief.h"

typedef struct writer {
    const aicp_policy_schema *schema;
    aicpi_strbuf *out;
    aicpi_strbuf scratch;
    aicpi_strbuf name;             /* a full name that is tried */
    const aicpi_policy_str *space; /* that is being written */
    const aicpi_policy_str *home;  /* where the type being written was declared */
    unsigned level;
    aicp_status status;
    aicp_error *err;
} writer;

static void put(writer *w, const char *text) {
    aicpi_strbuf_puts(w->out, text);
}

static void put_str(writer *w, const aicpi_policy_str *text) {
    aicpi_strbuf_append(w->out, text->data, text->len);
}

static void new_line(writer *w) {
    put(w, "\n");
    for (unsigned i = 0; i < w->level; i++) {
        put(w, "  ");
    }
}

static void put_annotations(writer *w, const aicpi_policy_annotations *annotations) {
    for (uint32_t i = 0; i < annotations->count; i++) {
        const aicpi_policy_annotation *a = &annotations->items[i];
        put(w, "@");
        put_str(w, a->key);
        if (a->value->len > 0) {
            put(w, "(");
            aicpi_policy_quote(w->out, aicpi_policy_text(a->value));
            put(w, ")");
        }
        new_line(w);
    }
}

/* ---- names ---- */

static aicpi_policy_named
look_up(writer *w, const aicpi_policy_str *space, uint32_t kind, aicpi_slice name) {
    aicpi_policy_named named = {0};
    if (w->status == AICP_OK &&
        !aicpi_policy_schema_lookup(w->schema, space, kind, name, &w->scratch, &named)) {
        w->status = aicpi_nomem(w->err);
    }
    return named;
}

static bool means(writer *w, uint32_t kind, aicpi_slice name, const aicpi_policy_named *wanted) {
    aicpi_policy_named named = look_up(w, w->space, kind, name);
    return named.entity == wanted->entity && named.common == wanted->common &&
           named.builtin == wanted->builtin;
}

static aicpi_slice full_name(writer *w, const aicpi_policy_named *named) {
    aicpi_strbuf *b = &w->name;
    aicpi_strbuf_clear(b);
    if (named->entity) {
        return aicpi_policy_text(named->entity->name);
    }
    if (named->builtin) {
        aicpi_strbuf_printf(b, "__cedar::%s", aicpi_policy_builtin_name(named->builtin));
    } else {
        if (named->common->space->len > 0) {
            aicpi_strbuf_append(b, named->common->space->data, named->common->space->len);
            aicpi_strbuf_puts(b, "::");
        }
        aicpi_strbuf_append(b, named->common->name->data, named->common->name->len);
    }
    if (b->failed && w->status == AICP_OK) {
        w->status = aicpi_nomem(w->err);
    }
    return b->failed ? AICPI_SLICE("") : aicpi_slice_of(b->data, b->len);
}

/* A name where `kind` is what a name may mean: as it was declared, or in full, whichever means the
 * same here. */
static void put_name(writer *w, uint32_t kind, const aicpi_policy_decl_type *type) {
    aicpi_slice name = aicpi_policy_text(type->u.name);
    aicpi_policy_named named = look_up(w, w->home, type->kind, name);
    if (w->status == AICP_OK && !means(w, kind, name, &named)) {
        name = full_name(w, &named);
    }
    if (w->status == AICP_OK && !means(w, kind, name, &named)) {
        w->status = aicpi_fail(
            w->err,
            AICP_ERR_UNSUPPORTED,
            "Cedar's syntax cannot name %s, which another type hides",
            aicpi_policy_brief_str(type->u.name).text);
    }
    aicpi_strbuf_append(w->out, name.data, name.len);
}

/* ---- types ---- */

static void put_type(writer *w, const aicpi_policy_decl_type *type);

static void put_record(writer *w, const aicpi_policy_decl_type *record) {
    put(w, "{");
    w->level++;
    for (uint32_t i = 0; i < record->count; i++) {
        const aicpi_policy_decl_attr *attr = &record->u.attrs[i];
        new_line(w);
        put_annotations(w, &attr->annotations);
        aicpi_policy_quote_key(w->out, attr->key);
        put(w, attr->required ? ": " : "?: ");
        put_type(w, attr->type);
        put(w, i + 1 < record->count ? "," : "");
    }
    w->level--;
    if (record->count > 0) {
        new_line(w);
    }
    put(w, "}");
}

/* As deep as the type, which has a limit. */
static void put_type(writer *w, const aicpi_policy_decl_type *type) {
    if (type->kind == AICPI_POLICY_DECL_RECORD) {
        put_record(w, type);
    } else if (type->kind == AICPI_POLICY_DECL_SET) {
        put(w, "Set<");
        put_type(w, type->u.element);
        put(w, ">");
    } else {
        put_name(w, AICPI_POLICY_DECL_EITHER, type);
    }
}

/* The shape of an entity type, which must be written as a record: a common type is written out. */
static void put_shape(writer *w, const aicpi_policy_decl_type *type) {
    const aicpi_policy_str *home = w->home;
    while (w->status == AICP_OK && type->kind != AICPI_POLICY_DECL_RECORD) {
        aicpi_policy_named named = look_up(w, w->home, type->kind, aicpi_policy_text(type->u.name));
        if (named.common) {
            w->home = named.common->space;
            type = named.common->type;
        }
    }
    if (w->status == AICP_OK && type->count > 0) {
        put(w, " = ");
        put_record(w, type);
    }
    w->home = home;
}

/* ---- declarations ---- */

static void put_types(writer *w, const aicpi_policy_decl_refs *refs) {
    for (uint32_t i = 0; i < refs->count; i++) {
        put(w, i > 0 ? ", " : "[");
        put_str(w, refs->items[i].type);
    }
    put(w, "]");
}

static void put_common(writer *w, const aicpi_policy_decl_common *common) {
    put_annotations(w, &common->annotations);
    put(w, "type ");
    put_str(w, common->name);
    put(w, " = ");
    put_type(w, common->type);
    put(w, ";");
}

static void put_entity(writer *w, const aicpi_policy_decl_entity *entity) {
    put_annotations(w, &entity->annotations);
    put(w, "entity ");
    put_str(w, entity->name);
    for (uint32_t i = 0; i < entity->id_count; i++) {
        put(w, i > 0 ? ", " : " enum [");
        aicpi_policy_quote(w->out, aicpi_policy_text(entity->ids[i]));
    }
    put(w, entity->id_count > 0 ? "]" : "");
    if (entity->parents.count > 0) {
        put(w, " in ");
        put_types(w, &entity->parents);
    }
    if (entity->shape) {
        put_shape(w, entity->shape);
    }
    if (entity->tags) {
        put(w, " tags ");
        put_type(w, entity->tags);
    }
    put(w, ";");
}

static void put_applies_to(writer *w, const aicpi_policy_decl_action *action) {
    put(w, " appliesTo {");
    w->level++;
    new_line(w);
    put(w, "principal: ");
    put_types(w, &action->principals);
    put(w, ",");
    new_line(w);
    put(w, "resource: ");
    put_types(w, &action->resources);
    if (action->context) {
        put(w, ",");
        new_line(w);
        put(w, "context: ");
        if (action->context->kind == AICPI_POLICY_DECL_RECORD) {
            put_record(w, action->context);
        } else {
            put_name(w, AICPI_POLICY_DECL_COMMON, action->context);
        }
    }
    w->level--;
    new_line(w);
    put(w, "}");
}

static void put_action(writer *w, const aicpi_policy_decl_action *action) {
    put_annotations(w, &action->annotations);
    put(w, "action ");
    aicpi_policy_quote_key(w->out, action->id);
    for (uint32_t i = 0; i < action->parents.count; i++) {
        const aicpi_policy_decl_ref *ref = &action->parents.items[i];
        put(w, i > 0 ? ", " : " in [");
        if (ref->type) {
            put_str(w, ref->type);
            put(w, "::");
        }
        aicpi_policy_quote(w->out, aicpi_policy_text(ref->id));
    }
    put(w, action->parents.count > 0 ? "]" : "");
    if (action->principals.count > 0 && action->resources.count > 0) {
        put_applies_to(w, action);
    }
    put(w, ";");
}

/* Between two declarations, and before the first of a namespace. */
static void separate(writer *w) {
    if (w->out->len == 0) {
        return;
    }
    if (w->out->data[w->out->len - 1] != '{') {
        put(w, "\n");
    }
    new_line(w);
}

static void put_space(writer *w, const aicpi_policy_decl_space *space) {
    bool named = space->name->len > 0;
    w->space = space->name;
    w->home = space->name;
    if (named) {
        separate(w);
        put_annotations(w, &space->annotations);
        put(w, "namespace ");
        put_str(w, space->name);
        put(w, " {");
    }
    w->level = named ? 1 : 0;
    for (size_t i = 0; i < space->common_count; i++) {
        separate(w);
        put_common(w, &space->commons[i]);
    }
    for (size_t i = 0; i < space->entity_count; i++) {
        separate(w);
        put_entity(w, &space->entities[i]);
    }
    for (size_t i = 0; i < space->action_count; i++) {
        separate(w);
        put_action(w, &space->actions[i]);
    }
    w->level = 0;
    if (named) {
        put(w, "\n}");
    }
}

aicp_status aicpi_policy_schema_write_cedar(
    const aicp_policy_schema *schema, aicpi_strbuf *out, aicp_error *err) {
    writer w = {.schema = schema, .out = out, .err = err};
    aicpi_strbuf_init(&w.scratch, &schema->allocator, AICPI_STRBUF_MAX);
    aicpi_strbuf_init(&w.name, &schema->allocator, AICPI_STRBUF_MAX);
    for (size_t i = 0; i < schema->decl->count && w.status == AICP_OK && !out->failed; i++) {
        put_space(&w, schema->decl->spaces[i]);
    }
    put(&w, "\n");
    aicpi_strbuf_deinit(&w.scratch);
    aicpi_strbuf_deinit(&w.name);
    return w.status;
}
