/* Time zones from the system's TZif files (RFC 8536), their POSIX footer included. A loaded zone is
 * immutable. */
#ifndef AICPI_BASE_TZ_H
#define AICPI_BASE_TZ_H

#include "lib/base/alloc.h"
#include "lib/base/slice.h"

#include "aicp/error.h"

#include <stdint.h>

typedef struct aicpi_tz aicpi_tz;

/* Zone by IANA name, looked up in $TZDIR or /usr/share/zoneinfo. "" and "UTC" need no file.
 * ERR_NOT_FOUND for an unknown name, ERR_PARSE for a file that is none. */
aicp_status
aicpi_tz_load(const aicp_allocator *a, aicpi_slice name, aicpi_tz **out, aicp_error *err);
/* From the bytes of a TZif file. */
aicp_status aicpi_tz_parse(
    const aicp_allocator *a, const char *data, size_t len, aicpi_tz **out, aicp_error *err);
void aicpi_tz_free(aicpi_tz *tz); /* NULL is fine */

/* Seconds east of UTC at a time in seconds since 1970 UTC. */
int32_t aicpi_tz_offset(const aicpi_tz *tz, int64_t utc);
/* The time at which clocks in the zone show `local` (seconds since 1970 as if they were UTC). The
 * first of two; for one that is skipped, the time as far behind the gap as it would have been in
 * it. */
int64_t aicpi_tz_to_utc(const aicpi_tz *tz, int64_t local);

#endif
