/* Values as Cedar's JSON. */
#ifndef AICPI_POLICY_VALUE_WRITE_H
#define AICPI_POLICY_VALUE_WRITE_H

#include "lib/base/strbuf.h"
#include "lib/policy/reader.h"

typedef struct aicpi_policy_writer {
    aicpi_strbuf *out;
    aicpi_arena *scratch;              /* may be reset between values */
    const aicpi_policy_texts *texts;   /* of the values' store; NULL: none */
    const aicpi_policy_str *forbidden; /* a key that JSON keeps for itself, met in a record */
} aicpi_policy_writer;

/* Appends a value. The members of records and sets stand in the order of their JSON text, so that
 * equal values made of equal texts are written alike. What goes wrong shows in out->failed or in
 * `forbidden`. */
void aicpi_policy_write_value(aicpi_policy_writer *w, aicpi_policy_value v);
/* The same for a record whose keys mean nothing special ("attrs", "tags"). */
void aicpi_policy_write_fields(aicpi_policy_writer *w, const aicpi_policy_record *record);

#endif
