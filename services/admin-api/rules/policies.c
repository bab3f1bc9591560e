/* Section policies: the active Cedar texts, and what organizations allow their teams. */
#include "services/admin-api/rules/rules.h"

#include "lib/base/error.h"
#include "lib/base/text.h"

typedef struct writer {
    aicpi_strbuf *out;
    const char *without; /* id of the policy that a draft stands for */
    size_t texts;        /* written by people */
    size_t forbids;      /* made from organizations */
} writer;

static void put_text(writer *w, aicpi_slice text) {
    aicpi_strbuf_append(w->out, text.data, text.len);
    aicpi_strbuf_puts(w->out, "\n\n");
    w->texts++;
}

static aicp_status write_text(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    writer *w = user;
    (void)err;
    if (!w->without || !aicpi_slice_is(aicpi_sql_text(row, 0), w->without)) {
        put_text(w, aicpi_sql_text(row, 1));
    }
    return AICP_OK;
}

/* A Cedar string is a JSON string but for \b, \f and \u: those are written in Cedar's way. */
static void put_string(aicpi_strbuf *out, aicpi_slice text) {
    aicpi_strbuf_putc(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            aicpi_strbuf_putc(out, '\\');
            aicpi_strbuf_putc(out, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            aicpi_strbuf_printf(out, "\\u{%x}", c);
        } else {
            aicpi_strbuf_putc(out, (char)c);
        }
    }
    aicpi_strbuf_putc(out, '"');
}

/* The models of `list` as conditions on the resource's name; a final * is a prefix. */
static bool put_models(aicpi_strbuf *out, struct json_object *list) {
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        aicpi_slice name =
            aicpi_slice_of(json_object_get_string(item), (size_t)json_object_get_string_len(item));
        aicpi_strbuf_puts(out, i ? " || " : "");
        if (name.len > 0 && name.data[name.len - 1] == '*') {
            /* put_string escapes no *, so a final one stays Cedar's wildcard; others are refused
             * when the list is saved. */
            aicpi_strbuf_puts(out, "context.model like ");
            put_string(out, name);
        } else {
            aicpi_strbuf_puts(out, "resource == AICP::Model::");
            put_string(out, name);
        }
    }
    return count > 0;
}

/* Row: kind ("Organization" or "BusinessUnit"), id, slug, allowed models. */
static aicp_status write_forbid(void *user, aicpi_sql_stmt *row, aicp_error *err) {
    writer *w = user;
    struct json_object *models = aicpa_column_json(row, 3);
    if (!json_object_is_type(models, json_type_array) || json_object_array_length(models) == 0) {
        json_object_put(models);
        return AICP_OK; /* an empty list allows all */
    }
    aicpi_slice kind = aicpi_sql_text(row, 0);
    aicpi_slice id = aicpi_sql_text(row, 1);
    aicpi_slice slug = aicpi_sql_text(row, 2);
    aicpi_strbuf name;
    aicpi_strbuf_init(&name, NULL, 4096);
    aicpi_strbuf_printf(
        &name, "models-of-%.*s-%.*s", (int)slug.len, slug.data, (int)id.len, id.data);
    aicpi_strbuf_puts(w->out, "@id(");
    put_string(w->out, aicpi_slice_of(name.data, name.len));
    aicpi_strbuf_puts(w->out, ")\n@reason(");
    aicpi_strbuf_clear(&name);
    aicpi_strbuf_printf(&name, "%.*s may not use this model", (int)slug.len, slug.data);
    put_string(w->out, aicpi_slice_of(name.data, name.len));
    aicpi_strbuf_printf(w->out, ")\nforbid (principal in AICP::%.*s::", (int)kind.len, kind.data);
    put_string(w->out, id);
    aicpi_strbuf_puts(w->out, ", action, resource)\nunless { ");
    put_models(w->out, models);
    aicpi_strbuf_puts(w->out, " };\n\n");
    w->forbids++;
    bool ok = !name.failed;
    aicpi_strbuf_deinit(&name);
    json_object_put(models);
    return ok ? AICP_OK : aicpi_nomem(err);
}

aicp_status aicpa_write_policies(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    const aicpa_draft *draft = build->draft;
    writer w = {.out = out, .without = draft ? draft->policy_id : NULL};
    aicp_status status = aicpa_each_row(
        build->db,
        "SELECT id, text FROM admin_policy WHERE is_active = 1 ORDER BY name, id",
        write_text,
        &w,
        err);
    if (draft && draft->text) { /* the last, so that what is wrong with it is found in it */
        put_text(&w, aicpi_slice_cstr(draft->text));
    }
    status = status ? status
                    : aicpa_each_row(
                          build->db,
                          "SELECT 'Organization', id, slug, allowed_models FROM admin_organization"
                          " WHERE is_active = 1 UNION ALL SELECT 'BusinessUnit', id, slug,"
                          " allowed_models FROM admin_business_unit WHERE is_active = 1"
                          " ORDER BY 1, 2",
                          write_forbid,
                          &w,
                          err);
    if (status == AICP_OK && w.texts == 0 && w.forbids > 0) {
        aicpi_strbuf_puts(out, "@id(\"every-model\")\npermit (principal, action, resource);\n");
    }
    return status;
}

aicp_status aicpa_policies_read(aicpa_build *build, aicp_policy_set **out, aicp_error *err) {
    aicpi_strbuf text;
    aicp_policy_set_options options;
    *out = NULL;
    aicp_policy_set_options_init(&options, sizeof options);
    options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    aicpi_strbuf_init(&text, NULL, (size_t)64 << 20);
    aicp_status status = aicpa_write_policies(build, &text, err);
    if (status == AICP_OK && text.failed) {
        status = aicpi_fail(err, AICP_ERR_LIMIT, "the policies are too large");
    }
    status = status ? status : aicp_policy_set_parse(text.data, text.len, &options, out, err);
    aicpi_strbuf_deinit(&text);
    return status;
}
