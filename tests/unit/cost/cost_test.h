/* Helpers of the cost tests. */
#ifndef TESTS_UNIT_COST_TEST_H
#define TESTS_UNIT_COST_TEST_H

#include "aicp/cost.h"

#include "lib/base/file.h"
#include "lib/base/json.h"

#include <criterion/criterion.h>
#include <stdio.h>

/* The whole file at `path` (below the source folder); free with aicp_buf_free. */
static inline aicp_buf test_source_file(const char *path) {
    char full[512];
    aicp_buf buf = AICP_BUF_INIT;
    aicp_error err = {0};
    (void)snprintf(full, sizeof full, "%s/%s", AICP_SOURCE_DIR, path);
    cr_assert_eq(
        aicpi_file_read(NULL, full, (size_t)64 << 20, &buf, &err), AICP_OK, "%s", err.message);
    return buf;
}

static inline aicp_tokenizer *test_tokenizer(const char *name) {
    aicp_tokenizer *t = NULL;
    cr_assert_eq(aicp_tokenizer_open(name, strlen(name), NULL, &t, NULL), AICP_OK);
    return t;
}

#endif
