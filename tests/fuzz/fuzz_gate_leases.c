/* Messages of leases from outside: a server answers each lease of a right message and grants
 * nothing of a wrong one; a gate takes no answer for a grant that it did not ask for. */
#include "lib/gate/lease_json.h"

#include "aicp/gate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok) {
    if (!ok) {
        abort();
    }
}

static aicp_rate_store *server(void) {
    static const char URL[] = "sqlite::memory:";
    static aicp_rate_store *store;
    if (!store) {
        check(aicp_rate_store_open(URL, sizeof URL - 1, &store, NULL) == AICP_OK);
    }
    return store;
}

static void read_grant(const char *data, size_t size) {
    aicpi_arena arena;
    aicpi_json r;
    aicp_lease_request q = {.size = sizeof q, .need = 3, .extra = 5};
    aicp_lease_grant g;
    aicp_status status = AICP_OK;
    aicp_error err = {0};
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_json_init(&r, &arena, data, size, 0);
    if (aicpi_lease_grant_read(&r, &q, &g, &status, &err) && status == AICP_OK) {
        check(g.granted == 0 || (g.granted >= 3 && g.granted <= 8));
    }
    aicpi_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicp_buf out = AICP_BUF_INIT;
    aicp_error err = {0};
    aicp_status status = aicp_rate_store_serve(server(), (const char *)data, size, &out, &err);
    check((status == AICP_OK) == (err.message[0] == '\0'));
    check(status == AICP_OK || out.len == 0);
    aicp_buf_free(&out);
    read_grant((const char *)data, size);
    return 0;
}
