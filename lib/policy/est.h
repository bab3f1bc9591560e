/* What the parts of the JSON reader share: est_read.c reads sets and policies, est_expr.c
 * expressions. After an error everything gives up: NULL or false mean that the JSON reader has it.
 */
#ifndef AICPI_POLICY_EST_H
#define AICPI_POLICY_EST_H

#include "lib/policy/forms.h"
#include "lib/policy/reader.h"

typedef struct aicpi_policy_est_reader {
    aicpi_policy_reader values;
    aicpi_json *json;    /* that of `values` */
    aicpi_arena *arena;  /* for results */
    aicpi_arena scratch; /* decoded texts */
    uint32_t max_depth;
    uint32_t depth;
} aicpi_policy_est_reader;

const aicpi_policy_expr *aicpi_policy_est_read_expr(aicpi_policy_est_reader *e);
/* Reads a string and interns it. */
const aicpi_policy_str *aicpi_policy_est_str(aicpi_policy_est_reader *e);
bool aicpi_policy_est_nomem(aicpi_policy_est_reader *e);
/* "<thing> has no "<name>"" */
bool aicpi_policy_est_missing(
    aicpi_policy_est_reader *e, size_t at, const char *thing, const char *name);
/* "unknown key "<key>" in <thing>" */
bool aicpi_policy_est_unknown(aicpi_policy_est_reader *e, aicpi_slice key, const char *thing);

#endif
