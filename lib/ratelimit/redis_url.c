/* redis://[[user]:password@]host[:port][/database] */
#include "lib/ratelimit/redis_internal.h"

#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

/* Copies with %-codes resolved. */
static aicp_status
decode(aicpi_redis_address *r, aicpi_slice text, const char *what, char **out, aicp_error *err) {
    char *copy = aicpi_strndup(r->allocator, text.data, text.len);
    *out = copy;
    if (!copy) {
        return aicpi_nomem(err);
    }
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.data[i];
        if (c == '%') {
            int high = text.len - i > 2 ? aicpi_hex_value(text.data[i + 1]) : -1;
            int low = text.len - i > 2 ? aicpi_hex_value(text.data[i + 2]) : -1;
            c = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (c == 0) {
            return aicpi_fail(err, AICP_ERR_INVALID, "Redis URL: bad character in the %s", what);
        }
        copy[len++] = (char)c;
    }
    copy[len] = '\0';
    return AICP_OK;
}

/* The part before the first (or last) `c`, which is taken away with it. False: there is none. */
static bool cut(aicpi_slice *text, char c, bool last, aicpi_slice *before) {
    const char *at = last ? memrchr(text->data, c, text->len) : memchr(text->data, c, text->len);
    if (!at) {
        return false;
    }
    size_t len = (size_t)(at - text->data);
    *before = aicpi_slice_of(text->data, len);
    *text = aicpi_slice_of(at + 1, text->len - len - 1);
    return true;
}

static aicp_status parse_login(aicpi_redis_address *r, aicpi_slice login, aicp_error *err) {
    aicpi_slice user = {"", 0};
    bool both = cut(&login, ':', false, &user);
    if (!both) { /* "name@": nothing that Redis could check */
        return aicpi_fail(err, AICP_ERR_INVALID, "Redis URL: a user needs a password");
    }
    aicp_status status = user.len ? decode(r, user, "user", &r->user, err) : AICP_OK;
    return status == AICP_OK ? decode(r, login, "password", &r->password, err) : status;
}

static aicp_status parse_address(aicpi_redis_address *r, aicpi_slice address, aicp_error *err) {
    aicpi_slice host = address;
    aicpi_slice port = {"6379", 4};
    bool bracket = address.len > 0 && address.data[0] == '[';
    if (bracket) {
        address = aicpi_slice_of(address.data + 1, address.len - 1);
        if (!cut(&address, ']', false, &host) || (address.len && address.data[0] != ':')) {
            return aicpi_fail(err, AICP_ERR_INVALID, "Redis URL: bad address in brackets");
        }
        port = address.len ? aicpi_slice_of(address.data + 1, address.len - 1) : port;
    } else if (cut(&address, ':', true, &host)) {
        port = address;
    }
    uint64_t number = 0;
    if (host.len == 0 || !aicpi_parse_u64(port, &number) || number == 0 || number > 65535) {
        return aicpi_fail(err, AICP_ERR_INVALID, "Redis URL: needs a host and a port up to 65535");
    }
    r->port = (int)number;
    return decode(r, host, "host", &r->host, err);
}

aicp_status aicpi_redis_address_parse(
    aicpi_redis_address *r,
    const aicp_allocator *allocator,
    const char *text,
    size_t text_len,
    aicp_error *err) {
    *r = (aicpi_redis_address){.allocator = allocator};
    aicpi_slice url = aicpi_slice_of(text, text ? text_len : 0);
    aicpi_slice scheme = {NULL, 0};
    aicpi_slice part = {NULL, 0};
    if (!url.data || !cut(&url, ':', false, &scheme) || url.len < 2 ||
        memcmp(url.data, "//", 2) != 0) {
        return aicpi_fail(err, AICP_ERR_INVALID, "not a Redis URL: redis://host[:port][/database]");
    }
    url = aicpi_slice_of(url.data + 2, url.len - 2);
    if (aicpi_slice_is_nocase(scheme, "rediss")) {
        return aicpi_fail(
            err,
            AICP_ERR_UNSUPPORTED,
            "rediss:// is not supported, as Debian 12's hiredis has no TLS; use redis:// through a"
            " tunnel");
    }
    if (!aicpi_slice_is_nocase(scheme, "redis")) {
        return aicpi_fail(err, AICP_ERR_INVALID, "the scheme of a Redis URL is redis://");
    }
    aicp_status status = cut(&url, '@', true, &part) ? parse_login(r, part, err) : AICP_OK;
    aicpi_slice database = {"", 0};
    if (cut(&url, '/', false, &part)) {
        database = url;
        url = part;
    }
    if (status == AICP_OK && database.len && !aicpi_parse_u64(database, &r->database)) {
        return aicpi_fail(err, AICP_ERR_INVALID, "Redis URL: the database is a number");
    }
    return status == AICP_OK ? parse_address(r, url, err) : status;
}

void aicpi_redis_address_deinit(aicpi_redis_address *r) {
    if (r->password) {
        aicpi_wipe(r->password, strlen(r->password));
    }
    aicpi_free(r->allocator, r->host);
    aicpi_free(r->allocator, r->user);
    aicpi_free(r->allocator, r->password);
}
