/* Scripts of code points, as far as it matters whether a text mixes them. */
#ifndef AICPI_POLICY_UNICODE_SCRIPTS_H
#define AICPI_POLICY_UNICODE_SCRIPTS_H

#include <stddef.h>
#include <stdint.h>

/* Runs of alike code points, ascending: first code point << 11 | set << 1 | fit for identifiers. */
extern const uint32_t aicpi_policy_script_runs[];
extern const size_t aicpi_policy_script_run_count;
/* Sets of scripts, a bit for each; what is common to all scripts has all bits. */
extern const uint64_t aicpi_policy_script_sets[][3];

#endif
