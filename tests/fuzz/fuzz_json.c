/* The strict JSON reader: any bytes are read or refused, and what is accepted reads the same twice.
 */
#include "lib/base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads a value with the typed calls; returns the number of values in it. */
static size_t read_value(aicpi_json *r) {
    aicpi_slice text;
    double number = 0;
    bool flag = false;
    size_t count = 1;
    switch (aicpi_json_peek(r)) {
    case AICPI_JSON_STRING:
        aicpi_json_string(r, &text);
        break;
    case AICPI_JSON_NUMBER:
        aicpi_json_double(r, &number);
        break;
    case AICPI_JSON_BOOL:
        aicpi_json_bool(r, &flag);
        break;
    case AICPI_JSON_NULL:
        aicpi_json_null(r);
        break;
    case AICPI_JSON_ARRAY:
        aicpi_json_array(r);
        while (aicpi_json_element(r)) {
            count += read_value(r);
        }
        break;
    case AICPI_JSON_OBJECT:
        aicpi_json_object(r);
        while (aicpi_json_member(r, &text)) {
            count += read_value(r);
        }
        break;
    default:
        break;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicpi_arena arena;
    aicpi_json typed;
    aicpi_json skipped;
    aicp_error err;
    aicpi_arena_init(&arena, NULL, 0, (size_t)64 << 20);
    aicpi_json_init(&skipped, &arena, (const char *)data, size, 0);
    aicpi_json_skip(&skipped);
    aicp_status loose = aicpi_json_finish(&skipped, &err);
    aicpi_json_init(&typed, &arena, (const char *)data, size, 0);
    read_value(&typed);
    aicp_status status = aicpi_json_finish(&typed, &err);
    /* Only a number may be fine to pass over and yet have no double. */
    bool number = status == AICP_ERR_RANGE || status == AICP_ERR_LIMIT;
    if (status != loose && !number && status != AICP_ERR_NOMEM) {
        abort();
    }
    if (status != AICP_OK && (err.offset > size || err.message[0] == '\0')) {
        abort();
    }
    aicpi_arena_deinit(&arena);
    return 0;
}
