/* Cedar's JSON for values and entity uids, on top of the pull reader. */
#ifndef AICPI_POLICY_READER_H
#define AICPI_POLICY_READER_H

#include "lib/base/json.h"
#include "lib/policy/intern.h"

typedef struct aicpi_policy_reader {
    aicpi_json json;
    aicpi_policy_intern *intern; /* results live in its arena */
    aicp_allocator allocator;
    aicpi_policy_field *stack; /* members of the containers that are open */
    size_t capacity;
    size_t count;
} aicpi_policy_reader;

/* `scratch` serves the JSON reader. Starting again keeps the stack's memory. */
void aicpi_policy_reader_start(
    aicpi_policy_reader *r,
    aicpi_policy_intern *intern,
    aicpi_arena *scratch,
    const char *data,
    size_t len);
void aicpi_policy_reader_deinit(aicpi_policy_reader *r);

/* Each reads the value at hand; false: the JSON reader has the error. */
bool aicpi_policy_read_value(aicpi_policy_reader *r, aicpi_policy_value *out);
/* An object as a record, without looking for escapes at its top. */
bool aicpi_policy_read_record(aicpi_policy_reader *r, const aicpi_policy_record **out);
/* {"type":…,"id":…}, also wrapped in {"__entity":…}. */
bool aicpi_policy_read_uid(aicpi_policy_reader *r, const aicpi_policy_uid **out);

#endif
