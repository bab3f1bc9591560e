/* What the sections share. */
#include "services/admin-api/rules/rules.h"

#include "lib/base/decimal.h"
#include "lib/base/error.h"

aicp_status
aicpa_each_row(aicpi_sql *db, const char *sql, aicpa_row_fn fn, void *user, aicp_error *err) {
    aicpi_sql_stmt *q = NULL;
    bool row = false;
    aicp_status status = aicpi_sql_prepare(db, sql, &q, err);
    while (status == AICP_OK && (status = aicpi_sql_step(q, &row, err)) == AICP_OK && row) {
        status = fn(user, q, err);
    }
    if (status != AICP_OK && q) {
        aicpi_sql_reset(q);
    }
    return status;
}

struct json_object *aicpa_column_text(aicpi_sql_stmt *row, int32_t column) {
    aicpi_slice text = aicpi_sql_text(row, column);
    return aicpi_sql_is_null(row, column) ? NULL
                                          : json_object_new_string_len(text.data, (int)text.len);
}

struct json_object *aicpa_column_json(aicpi_sql_stmt *row, int32_t column) {
    aicpi_slice text = aicpi_sql_text(row, column);
    struct json_tokener *tokener = text.len ? json_tokener_new() : NULL;
    if (!tokener) {
        return NULL;
    }
    struct json_object *value = json_tokener_parse_ex(tokener, text.data, (int)text.len);
    if (!value && json_tokener_get_error(tokener) == json_tokener_continue) {
        /* The end of a number or a literal is only seen by what stands behind it. */
        value = json_tokener_parse_ex(tokener, " ", 1);
    }
    json_tokener_free(tokener);
    return value;
}

struct json_object *aicpa_match(const char *dimension, const char *data, size_t len) {
    struct json_object *match = json_object_new_object();
    struct json_object *values = json_object_new_array();
    json_object_array_add(values, json_object_new_string_len(data, (int)len));
    json_object_object_add(match, dimension, values);
    return match;
}

aicp_status aicpa_write_json(struct json_object *value, aicpi_strbuf *out, aicp_error *err) {
    size_t len = 0;
    const char *text = json_object_to_json_string_length(
        value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
    if (text) {
        aicpi_strbuf_append(out, text, len);
    }
    json_object_put(value);
    return text && !out->failed ? AICP_OK : aicpi_nomem(err);
}

struct json_object *aicpa_decimal_text(int64_t nano) {
    char text[48];
    size_t len = aicpi_decimal_format(nano, 9, text);
    return json_object_new_string_len(text, (int)len);
}
