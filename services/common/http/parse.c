#include "services/common/http/parse.h"

#include <string.h>

static const aicps_http_refusal fine = {0, NULL, NULL};

static const aicps_http_refusal nomem = {503, "out_of_memory", "The server is out of memory."};

static aicps_http_refusal bad(const char *text) {
    return (aicps_http_refusal){400, "bad_request", text};
}

static bool token_char(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c));
}

/* Text up to the next NUL; the position behind it must still be inside. */
static bool until_nul(const char **at, const char *end, aicpi_slice *out) {
    const char *nul = memchr(*at, 0, (size_t)(end - *at));
    if (!nul) {
        return false;
    }
    *out = aicpi_slice_of(*at, (size_t)(nul - *at));
    *at = nul;
    return true;
}

static bool line_end(const char **at, const char *end) {
    if (end - *at < 2 || (*at)[0] != 0 || (*at)[1] != 0) {
        return false;
    }
    *at += 2;
    return true;
}

static aicps_http_refusal
request_line(const char **at, const char *end, const char *uri, size_t uri_len, bool *http_1_0) {
    aicpi_slice method, version;
    if (!until_nul(at, end, &method) || method.len == 0 || method.len > 32) {
        return bad("The request line has no method.");
    }
    for (size_t i = 0; i < method.len; i++) {
        if (!token_char((unsigned char)method.data[i])) {
            return bad("The method contains a character that is not allowed.");
        }
    }
    ++*at;
    if (*at != uri || uri_len == 0 || (size_t)(end - *at) <= uri_len || (*at)[uri_len] != 0) {
        return bad("The request line is not method, target and version with one space between.");
    }
    *at += uri_len + 1;
    if (!until_nul(at, end, &version) || !line_end(at, end)) {
        return bad("A line does not end with CR LF.");
    }
    *http_1_0 = aicpi_slice_is(version, "HTTP/1.0");
    if (!*http_1_0 && !aicpi_slice_is(version, "HTTP/1.1")) {
        return (aicps_http_refusal){
            505, "http_version_not_supported", "Only HTTP/1.1 and HTTP/1.0 are spoken here."};
    }
    return fine;
}

static void lower(char *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (data[i] >= 'A' && data[i] <= 'Z') {
            data[i] = (char)(data[i] + ('a' - 'A'));
        }
    }
}

static aicps_http_refusal header_line(const char **at, const char *end, aicps_http_pair *out) {
    if (!until_nul(at, end, &out->name) || out->name.len == 0) {
        return bad("A header line has no name.");
    }
    for (size_t i = 0; i < out->name.len; i++) {
        if (!token_char((unsigned char)out->name.data[i])) {
            return bad("A header name contains a character that is not allowed.");
        }
    }
    ++*at;
    if (!until_nul(at, end, &out->value) || !line_end(at, end)) {
        return bad("A header line does not end with CR LF.");
    }
    for (size_t i = 0; i < out->value.len; i++) {
        unsigned char c = (unsigned char)out->value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return bad("A header value contains a control character.");
        }
    }
    return fine;
}

static aicpi_slice trim(aicpi_slice s) {
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

static bool equal_caseless(aicpi_slice s, const char *lower) {
    size_t len = strlen(lower);
    if (s.len != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = s.data[i];
        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != lower[i]) {
            return false;
        }
    }
    return true;
}

/* Lengths beyond all caps are as good as one another. */
static bool length_parse(aicpi_slice text, uint64_t *out) {
    uint64_t n = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        n = n > UINT64_MAX / 10 - 1 ? UINT64_MAX / 10 : n * 10 + (uint64_t)(text.data[i] - '0');
    }
    *out = n;
    return true;
}

typedef struct framing_state {
    bool coding; /* a Transfer-Encoding was seen */
    bool host;
} framing_state;

/* Framing as RFC 9112, 6.3 has it, without what it lets a server repair. */
static aicps_http_refusal
framing(aicps_http_head *head, const aicps_http_pair *pair, framing_state *seen) {
    if (aicpi_slice_is(pair->name, "content-length")) {
        if (head->has_length) {
            return bad("Content-Length is given twice.");
        }
        if (!length_parse(trim(pair->value), &head->length)) {
            return bad("Content-Length is not a number of bytes.");
        }
        head->has_length = true;
    } else if (aicpi_slice_is(pair->name, "transfer-encoding")) {
        if (seen->coding) {
            return bad("Transfer-Encoding is given twice.");
        }
        seen->coding = true;
        /* Leading space is libmicrohttpd's to skip, what follows it compares as it is. */
        if (!equal_caseless(pair->value, "chunked") &&
            !(pair->value.len && pair->value.data[0] <= ' ' &&
              equal_caseless(trim(pair->value), "chunked") &&
              pair->value.data[pair->value.len - 1] > ' ')) {
            return (aicps_http_refusal){
                501, "not_implemented", "The only Transfer-Encoding understood here is chunked."};
        }
        head->chunked = true;
    } else if (aicpi_slice_is(pair->name, "host")) {
        if (seen->host) {
            return bad("Host is given twice.");
        }
        seen->host = true;
    }
    return fine;
}

static aicps_http_refusal framing_whole(const aicps_http_head *head, const framing_state *seen) {
    if (head->chunked && head->has_length) {
        return bad("Content-Length and Transfer-Encoding are given together.");
    }
    if (head->chunked && head->http_1_0) {
        return bad("HTTP/1.0 has no Transfer-Encoding.");
    }
    if (!head->http_1_0 && !seen->host) {
        return bad("An HTTP/1.1 request needs a Host header.");
    }
    return fine;
}

aicps_http_refusal aicps_http_head_parse(
    aicpi_arena *arena,
    char *data,
    size_t len,
    aicps_http_span uri,
    size_t expected,
    aicps_http_head *out) {
    const char *at = data, *end = data + len;
    framing_state seen = {false, false};
    memset(out, 0, sizeof *out);
    if (expected > AICPS_HTTP_HEADERS_MAX) {
        return (aicps_http_refusal){
            431, "header_fields_too_large", "The request has more than 100 headers."};
    }
    aicps_http_refusal why = request_line(&at, end, data + uri.at, uri.len, &out->http_1_0);
    if (why.status) {
        return why;
    }
    out->headers = aicpi_arena_alloc(arena, expected * sizeof *out->headers);
    if (!out->headers) {
        return nomem;
    }
    while (end - at != 2 || at[0] != 0 || at[1] != 0) {
        aicps_http_pair pair;
        if (out->header_count == expected) {
            return bad("The header section contains a NUL or a line that does not end with CR LF.");
        }
        why = header_line(&at, end, &pair);
        if (why.status) {
            return why;
        }
        lower(data + (pair.name.data - data), pair.name.len);
        why = framing(out, &pair, &seen);
        if (why.status) {
            return why;
        }
        pair.value = trim(pair.value);
        out->headers[out->header_count++] = pair;
    }
    if (out->header_count != expected) {
        return bad("The header section contains a line that does not end with CR LF.");
    }
    return framing_whole(out, &seen);
}

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Percent-decoding; what has nothing to decode is not copied. */
static aicps_http_refusal decode(aicpi_arena *arena, aicpi_slice raw, bool plus, aicpi_slice *out) {
    if (raw.len == 0 ||
        (!memchr(raw.data, '%', raw.len) && !(plus && memchr(raw.data, '+', raw.len)))) {
        *out = raw;
        return fine;
    }
    char *to = aicpi_arena_alloc(arena, raw.len + 1);
    size_t len = 0;
    if (!to) {
        return nomem;
    }
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i];
        if (c == '%') {
            int high = raw.len - i > 2 ? hex(raw.data[i + 1]) : -1;
            int low = raw.len - i > 2 ? hex(raw.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return bad("The target contains a percent sign without two hexadecimal digits.");
            }
            if (high == 0 && low == 0) {
                return bad("The target contains an encoded NUL.");
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        to[len++] = c;
    }
    to[len] = 0;
    *out = aicpi_slice_of(to, len);
    return fine;
}

static aicps_http_refusal split_path(aicpi_arena *arena, aicps_http_request *request) {
    const char *at = request->path.data + 1;
    const char *end = request->path.data + request->path.len;
    request->segment_count = 0;
    while (at <= end && request->path.len > 1) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash ? slash : end;
        if (request->segment_count == AICPS_HTTP_SEGMENTS_MAX) {
            return (aicps_http_refusal){414, "uri_too_long", "The path has more than 32 segments."};
        }
        aicps_http_refusal why = decode(
            arena,
            aicpi_slice_of(at, (size_t)(stop - at)),
            false,
            &request->segments[request->segment_count]);
        if (why.status) {
            return why;
        }
        request->segment_count++;
        at = stop + 1;
    }
    return fine;
}

static aicps_http_refusal
split_query(aicpi_arena *arena, aicpi_slice query, aicps_http_request *request) {
    size_t most = 1;
    for (size_t i = 0; i < query.len; i++) {
        most += query.data[i] == '&';
    }
    if (most > AICPS_HTTP_PARAMS_MAX) {
        return bad("The query has more than 256 parameters.");
    }
    aicps_http_pair *pairs = aicpi_arena_alloc(arena, most * sizeof *pairs);
    size_t count = 0;
    if (!pairs) {
        return nomem;
    }
    for (const char *at = query.data, *end = at + query.len; at < end;) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        const char *stop = amp ? amp : end;
        const char *eq = memchr(at, '=', (size_t)(stop - at));
        const char *name_end = eq ? eq : stop;
        if (stop != at) {
            aicps_http_pair *pair = &pairs[count++];
            aicps_http_refusal why =
                decode(arena, aicpi_slice_of(at, (size_t)(name_end - at)), true, &pair->name);
            if (!why.status) {
                const char *value = eq ? eq + 1 : stop;
                why = decode(
                    arena, aicpi_slice_of(value, (size_t)(stop - value)), true, &pair->value);
            }
            if (why.status) {
                return why;
            }
        }
        at = stop + 1;
    }
    request->query = pairs;
    request->query_count = count;
    return fine;
}

/* The absolute form names scheme and host before the path (RFC 9112, 3.2.2). */
static aicpi_slice origin_form(aicpi_slice target) {
    size_t skip = target.len > 7 && memcmp(target.data, "http://", 7) == 0    ? 7
                  : target.len > 8 && memcmp(target.data, "https://", 8) == 0 ? 8
                                                                              : 0;
    if (skip == 0) {
        return target;
    }
    while (skip < target.len && target.data[skip] != '/' && target.data[skip] != '?') {
        skip++;
    }
    return aicpi_slice_of(target.data + skip, target.len - skip);
}

aicps_http_refusal
aicps_http_target_parse(aicpi_arena *arena, aicpi_slice target, aicps_http_request *request) {
    request->target = target;
    request->query = NULL;
    request->query_count = 0;
    request->segment_count = 0;
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '#') {
            return bad("The target contains a character that must be percent-encoded.");
        }
    }
    if (aicpi_slice_is(target, "*")) {
        request->path = target;
        return fine;
    }
    aicpi_slice origin = origin_form(target);
    const char *mark = origin.len ? memchr(origin.data, '?', origin.len) : NULL;
    size_t path_len = mark ? (size_t)(mark - origin.data) : origin.len;
    request->path = aicpi_slice_of(origin.data, path_len);
    if (path_len == 0 && origin.data != target.data) {
        request->path = AICPI_SLICE("/");
    }
    if (request->path.len == 0 || request->path.data[0] != '/') {
        return bad("The target does not begin with a slash.");
    }
    aicps_http_refusal why = split_path(arena, request);
    if (why.status || !mark) {
        return why;
    }
    return split_query(arena, aicpi_slice_of(mark + 1, origin.len - path_len - 1), request);
}
