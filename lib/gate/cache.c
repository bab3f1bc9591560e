#include "lib/gate/cache.h"

#include "lib/base/crypto.h"
#include "lib/base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CURRENT "current"
#define BUNDLE_PREFIX "b-"
#define FETCH_PREFIX "tmp-"
#define OLD_SECONDS 600 /* others may still be reading an earlier bundle */
#define STALE_SECONDS 3600

static bool join(char out[AICPI_CACHE_PATH], const char *folder, const char *name) {
    int n = snprintf(out, AICPI_CACHE_PATH, "%s/%s", folder, name);
    return n > 0 && n < AICPI_CACHE_PATH;
}

aicp_status aicpi_cache_make(const char *cache, aicp_error *err) {
    char path[AICPI_CACHE_PATH];
    size_t len = strlen(cache);
    if (len == 0 || len > AICPI_CACHE_PATH - 200) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the path of the cache is empty or too long");
    }
    memcpy(path, cache, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        char end = path[i];
        path[i] = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return aicpi_fail(err, AICP_ERR_IO, "cannot make %s: %s", path, strerror(errno));
        }
        path[i] = end;
    }
    return access(cache, R_OK | W_OK | X_OK) == 0
               ? AICP_OK
               : aicpi_fail(err, AICP_ERR_IO, "cannot use %s: %s", cache, strerror(errno));
}

void aicpi_cache_bundle_path(const char *cache, const char *hash, char out[AICPI_CACHE_PATH]) {
    snprintf(out, AICPI_CACHE_PATH, "%s/" BUNDLE_PREFIX "%s", cache, hash);
}

static bool is_bundle_name(const char *name, size_t len) {
    size_t prefix = sizeof BUNDLE_PREFIX - 1;
    return len == prefix + 64 && memcmp(name, BUNDLE_PREFIX, prefix) == 0 &&
           strspn(name + prefix, "0123456789abcdef") >= 64;
}

aicp_status aicpi_cache_current(const char *cache, char hash[65], aicp_error *err) {
    char link[AICPI_CACHE_PATH];
    char target[128] = "";
    ssize_t n = join(link, cache, CURRENT) ? readlink(link, target, sizeof target - 1) : -1;
    if (n < 0 || !is_bundle_name(target, (size_t)n)) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "%s holds no copy of the rules", cache);
    }
    memcpy(hash, target + sizeof BUNDLE_PREFIX - 1, 64);
    hash[64] = '\0';
    return AICP_OK;
}

static void unique_name(const char *prefix, char out[64]) {
    unsigned char random[8];
    char hex[2 * sizeof random + 1];
    aicpi_random(random, sizeof random);
    aicpi_hex_encode(random, sizeof random, hex);
    snprintf(out, 64, "%s%ld-%s", prefix, (long)getpid(), hex);
}

aicp_status aicpi_cache_begin(const char *cache, char folder[AICPI_CACHE_PATH], aicp_error *err) {
    char name[64];
    unique_name(FETCH_PREFIX, name);
    if (!join(folder, cache, name)) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "the path of the cache is too long");
    }
    return mkdir(folder, 0700) == 0
               ? AICP_OK
               : aicpi_fail(err, AICP_ERR_IO, "cannot make %s: %s", folder, strerror(errno));
}

bool aicpi_cache_reuse(const char *from, const char *to, const char *file, size_t size) {
    char source[AICPI_CACHE_PATH];
    char target[AICPI_CACHE_PATH];
    struct stat st;
    return join(source, from, file) && join(target, to, file) && stat(source, &st) == 0 &&
           S_ISREG(st.st_mode) && (uintmax_t)st.st_size == size && link(source, target) == 0;
}

aicp_status
aicpi_cache_write(const char *folder, const char *file, aicpi_slice text, aicp_error *err) {
    char path[AICPI_CACHE_PATH];
    if (!join(path, folder, file)) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "the path of the cache is too long");
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0;
    for (size_t done = 0; ok && done < text.len;) {
        ssize_t n = write(fd, text.data + done, text.len - done);
        ok = n > 0 || (n < 0 && errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
    int why = errno;
    if (fd >= 0 && close(fd) != 0 && ok) {
        ok = false;
        why = errno;
    }
    return ok ? AICP_OK : aicpi_fail(err, AICP_ERR_IO, "cannot write %s: %s", path, strerror(why));
}

aicp_status
aicpi_cache_keep(const char *cache, const char *folder, const char *hash, aicp_error *err) {
    char place[AICPI_CACHE_PATH];
    aicpi_cache_bundle_path(cache, hash, place);
    if (rename(folder, place) == 0) {
        return AICP_OK;
    }
    int why = errno;
    aicpi_cache_remove(folder);
    return why == EEXIST || why == ENOTEMPTY
               ? AICP_OK
               : aicpi_fail(err, AICP_ERR_IO, "cannot rename to %s: %s", place, strerror(why));
}

void aicpi_cache_remove(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0); /* "." and ".." refuse */
    }
    closedir(dir);
    (void)rmdir(folder);
}

static void remove_old(const char *cache, const char *hash) {
    DIR *dir = opendir(cache);
    time_t now = time(NULL);
    if (!dir) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const char *name = entry->d_name;
        bool bundle = is_bundle_name(name, strlen(name));
        bool fetch = strncmp(name, FETCH_PREFIX, sizeof FETCH_PREFIX - 1) == 0;
        struct stat st;
        char path[AICPI_CACHE_PATH];
        if ((!bundle && !fetch) || (bundle && strcmp(name + sizeof BUNDLE_PREFIX - 1, hash) == 0) ||
            !join(path, cache, name) || fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            now - st.st_mtime < (bundle ? OLD_SECONDS : STALE_SECONDS)) {
            continue;
        }
        if (S_ISDIR(st.st_mode)) {
            aicpi_cache_remove(path);
        } else {
            (void)unlink(path); /* a link that was never renamed */
        }
    }
    closedir(dir);
}

aicp_status aicpi_cache_point(const char *cache, const char *hash, aicp_error *err) {
    char name[64];
    char target[80];
    char fresh[AICPI_CACHE_PATH];
    char link[AICPI_CACHE_PATH];
    unique_name(FETCH_PREFIX, name);
    snprintf(target, sizeof target, BUNDLE_PREFIX "%s", hash);
    if (!join(fresh, cache, name) || !join(link, cache, CURRENT)) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "the path of the cache is too long");
    }
    if (symlink(target, fresh) != 0 || rename(fresh, link) != 0) {
        int why = errno;
        (void)unlink(fresh);
        return aicpi_fail(err, AICP_ERR_IO, "cannot link %s: %s", link, strerror(why));
    }
    remove_old(cache, hash);
    return AICP_OK;
}
