#include "lib/base/file.h"

#include "lib/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static aicp_status
read_all(int fd, const char *path, size_t max, aicpi_strbuf *text, aicp_error *err) {
    for (;;) {
        char block[16384];
        ssize_t n = read(fd, block, sizeof block);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return aicpi_fail(err, AICP_ERR_IO, "cannot read %s: %s", path, strerror(errno));
        }
        if (n == 0) {
            return AICP_OK;
        }
        if ((size_t)n > max - text->len) {
            return aicpi_fail(err, AICP_ERR_LIMIT, "%s is larger than %zu bytes", path, max);
        }
        aicpi_strbuf_append(text, block, (size_t)n);
        if (text->failed) {
            return aicpi_nomem(err);
        }
    }
}

aicp_status aicpi_file_read(
    const aicp_allocator *a, const char *path, size_t max, aicp_buf *out, aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hang us */
    if (fd < 0) {
        aicp_status code = errno == ENOENT ? AICP_ERR_NOT_FOUND : AICP_ERR_IO;
        return aicpi_fail(err, code, "cannot open %s: %s", path, strerror(errno));
    }
    struct stat st;
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, a, max);
    aicp_status status = AICP_OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        status = aicpi_fail(err, AICP_ERR_IO, "%s is not a regular file", path);
    } else {
        if (st.st_size > 0 && (uintmax_t)st.st_size <= max) {
            aicpi_strbuf_reserve(&text, (size_t)st.st_size);
        }
        status = read_all(fd, path, max, &text, err);
    }
    close(fd);
    if (status == AICP_OK) {
        status = aicpi_strbuf_take(&text, out, err);
    } else {
        aicpi_strbuf_deinit(&text);
    }
    return status;
}

static bool write_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* A file that is replaced keeps its permissions; a new one is readable for all, as open() would
 * make it (mkostemp makes it private). */
static bool set_mode(int fd, const char *path) {
    struct stat st;
    return fchmod(fd, stat(path, &st) == 0 ? st.st_mode & 07777 : 0644) == 0;
}

aicp_status aicpi_file_write(const char *path, const char *data, size_t len, aicp_error *err) {
    char temporary[4096];
    int n = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof temporary) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "path is longer than %zu bytes", sizeof temporary - 8);
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot create %s: %s", temporary, strerror(errno));
    }
    bool ok = set_mode(fd, path) && write_all(fd, data, len) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    ok = ok && rename(temporary, path) == 0;
    if (!ok) {
        aicp_status status =
            aicpi_fail(err, AICP_ERR_IO, "cannot write %s: %s", path, strerror(errno));
        unlink(temporary);
        return status;
    }
    return AICP_OK;
}
