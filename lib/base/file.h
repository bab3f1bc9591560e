/* Whole files. */
#ifndef AICPI_BASE_FILE_H
#define AICPI_BASE_FILE_H

#include "lib/base/strbuf.h"

/* Reads a regular file of at most `max` bytes into `out` (free with aicp_buf_free). ERR_IO,
 * ERR_NOT_FOUND, ERR_LIMIT. */
aicp_status aicpi_file_read(
    const aicp_allocator *a, const char *path, size_t max, aicp_buf *out, aicp_error *err);
/* Writes a temporary file beside `path`, syncs it and renames it: readers see the old bytes or the
 * new, never half. */
aicp_status aicpi_file_write(const char *path, const char *data, size_t len, aicp_error *err);

#endif
