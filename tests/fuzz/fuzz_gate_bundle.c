/* The sections that the gate reads itself: any bytes give a bundle part or an error with a message.
 * The first byte of the input chooses the section. */
#include "lib/gate/gate_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const aicpi_section_read_fn readers[] = {
        aicpi_read_guardrails, aicpi_read_accounts, aicpi_read_routes, aicpi_read_settings};
    if (size == 0) {
        return 0;
    }
    aicp_bundle bundle = {.allocator = aicpi_allocator(NULL)};
    aicp_error err = {0};
    aicpi_arena_init(&bundle.arena, NULL, 0, 0);
    aicp_status status = readers[data[0] % 4](&bundle, (const char *)data + 1, size - 1, &err);
    if (status != AICP_OK && (err.code != status || err.message[0] == '\0')) {
        abort();
    }
    for (size_t i = 0; i < bundle.profile_count; i++) {
        aicp_guard_profile_free(bundle.profiles[i].profile);
    }
    aicpi_arena_deinit(&bundle.arena);
    return 0;
}
