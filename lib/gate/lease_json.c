#include "lib/gate/lease_json.h"

#include "lib/base/error.h"
#include "lib/base/text.h"
#include "lib/ratelimit/ratelimit_internal.h"

static const char *const KINDS[] = {"requests", "tokens", "concurrency"};
static const char *const ALGORITHMS[] = {"gcra", "fixed_window", "slots"};

#define COUNT(list) (sizeof list / sizeof list[0])
/* JSON readers of others keep whole numbers of this size. */
#define NUMBER_MAX INT64_MAX
#define UNITS_MAX ((int64_t)AICPI_LIMIT_MAX_LIMIT * AICPI_LIMIT_MAX_BURST)
#define TTL_MAX (INT64_C(7) * 86400 * 1000000000)

/* ---- writing -------------------------------------------------------------------------------- */

static void put_base64(aicpi_strbuf *out, const char *data, size_t len) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)data[i] << 16;
        bits |= i + 1 < len ? (uint32_t)(unsigned char)data[i + 1] << 8 : 0;
        bits |= i + 2 < len ? (uint32_t)(unsigned char)data[i + 2] : 0;
        char four[4] = {
            DIGITS[bits >> 18],
            DIGITS[bits >> 12 & 63],
            i + 1 < len ? DIGITS[bits >> 6 & 63] : '=',
            i + 2 < len ? DIGITS[bits & 63] : '='};
        aicpi_strbuf_append(out, four, sizeof four);
    }
}

static void put_number(aicpi_strbuf *out, const char *name, uint64_t value) {
    uint64_t shown = value < NUMBER_MAX ? value : NUMBER_MAX;
    aicpi_strbuf_printf(out, ",\"%s\":%llu", name, (unsigned long long)shown);
}

static void put_units(aicpi_strbuf *out, const char *name, uint64_t value) {
    if (value != 0) {
        put_number(out, name, value);
    }
}

void aicpi_lease_request_write(aicpi_strbuf *out, const aicp_lease_request *q) {
    aicpi_strbuf_puts(out, "{\"key\":\"");
    put_base64(out, q->key, q->key_len);
    aicpi_strbuf_printf(
        out, "\",\"kind\":\"%s\",\"algorithm\":\"%s\"", KINDS[q->kind], ALGORITHMS[q->algorithm]);
    put_number(out, "limit", q->limit);
    put_number(out, "burst", q->burst);
    put_number(out, "window_ns", q->window_ns);
    put_number(out, "need", q->need);
    put_units(out, "extra", q->extra);
    put_units(out, "held", q->held);
    put_units(out, "returned", q->returned);
    put_units(out, "debt", q->debt);
    put_number(out, "ttl_ns", q->ttl_ns < TTL_MAX ? q->ttl_ns : TTL_MAX);
    if (q->kind == AICP_LIMIT_CONCURRENCY) { /* any 64 bits, so not a JSON number */
        aicpi_strbuf_printf(out, ",\"slot\":\"%llu\"", (unsigned long long)q->slot);
    }
    put_number(out, "timeout_ns", q->timeout_ns);
    aicpi_strbuf_putc(out, '}');
}

void aicpi_lease_grant_write(
    aicpi_strbuf *out, const aicp_lease_grant *g, aicp_status status, const aicp_error *err) {
    if (status != AICP_OK) {
        aicpi_strbuf_printf(out, "{\"error\":\"%s\",\"message\":", aicp_status_name(status));
        aicpi_strbuf_json(out, err->message, strlen(err->message));
        aicpi_strbuf_putc(out, '}');
        return;
    }
    aicpi_strbuf_printf(out, "{\"granted\":%llu", (unsigned long long)g->granted);
    if (g->retry_after_ns == AICP_LIMIT_NEVER) {
        aicpi_strbuf_puts(out, ",\"retry_after_ns\":-1");
    } else {
        put_number(out, "retry_after_ns", g->retry_after_ns);
    }
    put_number(out, "remaining", g->remaining);
    put_number(out, "reset_ns", g->reset_ns);
    put_number(out, "nodes", g->nodes);
    aicpi_strbuf_putc(out, '}');
}

/* ---- reading -------------------------------------------------------------------------------- */

static bool read_name(aicpi_json *r, const char *const *names, size_t count, int32_t *out) {
    aicpi_slice text;
    size_t offset = aicpi_json_offset(r);
    if (!aicpi_json_string(r, &text)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (aicpi_slice_is(text, names[i])) {
            *out = (int32_t)i;
            return true;
        }
    }
    return aicpi_json_fail(
        r,
        AICP_ERR_INVALID,
        offset,
        "\"%.*s\" is neither kind nor algorithm of a limit",
        (int)(text.len < 40 ? text.len : 40),
        text.data);
}

static bool read_number(aicpi_json *r, int64_t least, int64_t most, uint64_t *out) {
    int64_t value = 0;
    size_t offset = aicpi_json_offset(r);
    if (!aicpi_json_int64(r, &value)) {
        return false;
    }
    if (value < least || value > most) {
        return aicpi_json_fail(r, AICP_ERR_RANGE, offset, "the number is out of its range");
    }
    *out = (uint64_t)value;
    return true;
}

static bool read_key(aicpi_json *r, aicp_lease_request *q) {
    aicpi_slice text;
    size_t offset = aicpi_json_offset(r);
    if (!aicpi_json_string(r, &text)) {
        return false;
    }
    if (text.len == 0 || text.len > AICPI_LEASE_KEY_MAX / 3 * 4 + 4) {
        return aicpi_json_fail(r, AICP_ERR_LIMIT, offset, "the key is empty or too long");
    }
    unsigned char *bytes = aicpi_arena_alloc(r->arena, text.len / 4 * 3 + 6);
    if (!bytes) {
        return aicpi_json_fail(r, AICP_ERR_NOMEM, offset, "out of memory");
    }
    if (!aicpi_base64_decode(text.data, text.len, bytes, &q->key_len) || q->key_len == 0) {
        return aicpi_json_fail(r, AICP_ERR_PARSE, offset, "the key is not base64");
    }
    q->key = (const char *)bytes;
    return true;
}

static bool read_slot(aicpi_json *r, uint64_t *out) {
    aicpi_slice text;
    size_t offset = aicpi_json_offset(r);
    if (!aicpi_json_string(r, &text)) {
        return false;
    }
    uint64_t value = 0;
    bool ok = text.len > 0 && text.len <= 20;
    for (size_t i = 0; ok && i < text.len; i++) {
        ok = aicpi_is_digit(text.data[i]) && !__builtin_mul_overflow(value, 10, &value) &&
             !__builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value);
    }
    *out = value;
    return ok || aicpi_json_fail(r, AICP_ERR_PARSE, offset, "a slot is a number in a text");
}

static bool read_field(aicpi_json *r, aicpi_slice key, aicp_lease_request *q) {
    static const char *const NAMES[] = {
        "limit",
        "burst",
        "window_ns",
        "need",
        "extra",
        "held",
        "returned",
        "debt",
        "ttl_ns",
        "timeout_ns"};
    uint64_t *const fields[] = {
        &q->limit,
        &q->burst,
        &q->window_ns,
        &q->need,
        &q->extra,
        &q->held,
        &q->returned,
        &q->debt,
        &q->ttl_ns,
        &q->timeout_ns};
    const int64_t most[] = {
        AICPI_LIMIT_MAX_LIMIT,
        UNITS_MAX,
        (int64_t)AICPI_LIMIT_MAX_WINDOW_NS,
        UNITS_MAX,
        UNITS_MAX,
        UNITS_MAX,
        UNITS_MAX,
        UNITS_MAX,
        TTL_MAX,
        NUMBER_MAX};
    _Static_assert(COUNT(NAMES) == COUNT(fields) && COUNT(NAMES) == COUNT(most), "one each");
    if (aicpi_slice_is(key, "key")) {
        return read_key(r, q);
    }
    if (aicpi_slice_is(key, "kind")) {
        return read_name(r, KINDS, COUNT(KINDS), &q->kind);
    }
    if (aicpi_slice_is(key, "algorithm")) {
        return read_name(r, ALGORITHMS, COUNT(ALGORITHMS), &q->algorithm);
    }
    if (aicpi_slice_is(key, "slot")) {
        return read_slot(r, &q->slot);
    }
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        if (aicpi_slice_is(key, NAMES[i])) {
            return read_number(r, 0, most[i], fields[i]);
        }
    }
    return aicpi_json_skip(r);
}

bool aicpi_lease_request_read(aicpi_json *r, aicp_lease_request *q) {
    aicpi_slice key;
    size_t start = aicpi_json_offset(r);
    *q = (aicp_lease_request){.size = sizeof *q, .kind = -1, .algorithm = -1};
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        read_field(r, key, q);
    }
    if (!aicpi_json_ok(r)) {
        return false;
    }
    bool slots = q->kind == AICP_LIMIT_CONCURRENCY;
    const char *wrong = NULL;
    if (!q->key || q->kind < 0 || q->algorithm < 0) {
        wrong = "a lease needs key, kind and algorithm";
    } else if (slots != (q->algorithm == AICP_LIMIT_SLOTS)) {
        wrong = "this algorithm does not count this kind";
    } else if (slots ? q->slot == 0 || q->need > 1 : q->window_ns == 0) {
        wrong = "a slot needs an id, a rate needs a window";
    }
    return !wrong || aicpi_json_fail(r, AICP_ERR_INVALID, start, "%s", wrong);
}

static aicp_status status_of(aicpi_slice name) {
    static const aicp_status KNOWN[] = {AICP_ERR_STORE_BUSY, AICP_ERR_TIMEOUT, AICP_ERR_INVALID};
    for (size_t i = 0; i < COUNT(KNOWN); i++) {
        if (aicpi_slice_is(name, aicp_status_name(KNOWN[i]))) {
            return KNOWN[i];
        }
    }
    return AICP_ERR_STORE;
}

bool aicpi_lease_grant_read(
    aicpi_json *r,
    const aicp_lease_request *q,
    aicp_lease_grant *g,
    aicp_status *status,
    aicp_error *err) {
    aicpi_slice key;
    aicpi_slice error = {0};
    aicpi_slice message = {0};
    uint64_t nodes = 0;
    bool told = false;
    size_t start = aicpi_json_offset(r);
    *g = (aicp_lease_grant){.size = sizeof *g};
    if (!aicpi_json_object(r)) {
        return false;
    }
    while (aicpi_json_member(r, &key)) {
        if (aicpi_slice_is(key, "granted")) {
            told = read_number(r, 0, NUMBER_MAX, &g->granted);
        } else if (aicpi_slice_is(key, "retry_after_ns")) {
            read_number(r, -1, NUMBER_MAX, &g->retry_after_ns); /* -1 is NEVER */
        } else if (aicpi_slice_is(key, "remaining")) {
            read_number(r, 0, NUMBER_MAX, &g->remaining);
        } else if (aicpi_slice_is(key, "reset_ns")) {
            read_number(r, 0, NUMBER_MAX, &g->reset_ns);
        } else if (aicpi_slice_is(key, "nodes")) {
            read_number(r, 0, INT32_MAX, &nodes);
        } else if (aicpi_slice_is(key, "error")) {
            aicpi_json_string(r, &error);
        } else if (aicpi_slice_is(key, "message")) {
            aicpi_json_string(r, &message);
        } else {
            aicpi_json_skip(r);
        }
    }
    if (!aicpi_json_ok(r)) {
        return false;
    }
    g->nodes = (uint32_t)nodes;
    *status = AICP_OK;
    if (error.len > 0) {
        *status = aicpi_fail(
            err,
            status_of(error),
            "%.*s",
            (int)(message.len < 200 ? message.len : 200),
            message.len ? message.data : "");
        return true;
    }
    bool fair = g->granted == 0 || (g->granted >= q->need && g->granted - q->need <= q->extra);
    return (told && fair) || aicpi_json_fail(r, AICP_ERR_PARSE, start, "this is no grant");
}
