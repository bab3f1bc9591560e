/* The clock in force, and civil time. */
#ifndef AICPI_BASE_CLOCK_H
#define AICPI_BASE_CLOCK_H

#include "aicp/base.h"

#include "lib/base/slice.h"

#include <stdbool.h>

#define AICPI_SECOND_NS INT64_C(1000000000)

/* `c` when given and complete, else the system's clocks. */
aicp_clock aicpi_clock(const aicp_clock *c);
uint64_t aicpi_monotonic_ns(const aicp_clock *c);
int64_t aicpi_wall_ns(const aicp_clock *c);
/* Processor time that this thread has taken; false where `c` is a caller's own clock, which knows
 * of none. A call costs ten times what the others do. */
bool aicpi_thread_time_ns(const aicp_clock *c, uint64_t *out);

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar, and back. */
int64_t aicpi_days_from_civil(int64_t year, int32_t month, int32_t day);
void aicpi_civil_from_days(int64_t days, int64_t *year, int32_t *month, int32_t *day);
int32_t aicpi_days_in_month(int64_t year, int32_t month);
/* "2026-11-22T17:30:00Z" (fraction left out when 0, else milliseconds); room for 40 bytes; returns
 * the length. */
size_t aicpi_time_format(int64_t wall_ns, char *out);
/* RFC 3339 date-time with zone, or a plain date (midnight UTC). */
bool aicpi_time_parse(aicpi_slice text, int64_t *wall_ns);

#endif
