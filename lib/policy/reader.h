/* Cedar's JSON for values and entity uids, on top of the pull reader. */
#ifndef AICPI_POLICY_READER_H
#define AICPI_POLICY_READER_H

#include "lib/base/json.h"
#include "lib/policy/intern.h"

/* Texts that extension values were made from; aicpi_policy_value::text counts from 1. */
typedef struct aicpi_policy_texts {
    const aicpi_policy_str **items;
    size_t count;
    size_t capacity;
} aicpi_policy_texts;

typedef struct aicpi_policy_type aicpi_policy_type;
typedef struct aicpi_policy_conform aicpi_policy_conform;

typedef struct aicpi_policy_reader {
    aicpi_json json;
    aicpi_policy_intern *intern;   /* results live in its arena */
    aicpi_policy_texts *texts;     /* with the reader's allocator; NULL: not kept */
    aicpi_policy_conform *conform; /* needed to read by declared types */
    bool named;                    /* the error's message names the place */
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
/* The same by a declared type, which says what short forms stand for and must fit: the value is the
 * attribute `name`; the record is of type `type`; the members of the object are all of type `each`.
 */
bool aicpi_policy_read_attribute(
    aicpi_policy_reader *r,
    const aicpi_policy_type *type,
    const aicpi_policy_str *name,
    aicpi_policy_value *out);
bool aicpi_policy_read_declared(
    aicpi_policy_reader *r, const aicpi_policy_type *type, const aicpi_policy_record **out);
bool aicpi_policy_read_each(
    aicpi_policy_reader *r, const aicpi_policy_type *each, const aicpi_policy_record **out);
/* {"type":…,"id":…}, also wrapped in {"__entity":…}. */
bool aicpi_policy_read_uid(aicpi_policy_reader *r, const aicpi_policy_uid **out);
/* An entity type: a path of names without spaces. */
bool aicpi_policy_read_type(aicpi_policy_reader *r, const aicpi_policy_str **out);
/* Whether the object whose first key was just read is an escape: `__entity`, `__extn` or `__expr`
 * is its only member. */
bool aicpi_policy_at_escape(const aicpi_policy_reader *r, aicpi_slice key);

/* One of the keys __entity, __extn, __expr. */
bool aicpi_policy_is_escape(aicpi_slice key);

#endif
