/* The HTTP server's own parsers: a header section as libmicrohttpd leaves it in memory, the target,
 * addresses and X-Forwarded-For. The first byte chooses the number of headers that are expected. */
#include "services/common/http/parse.h"

#include <stdlib.h>
#include <string.h>

static void check(bool ok) {
    if (!ok) {
        abort();
    }
}

/* What libmicrohttpd does to a header section: first two spaces, first colons, line ends. */
static void cut(char *data, size_t len, aicps_http_span *uri) {
    char *end = data + len, *line = memchr(data, '\n', len);
    char *space = memchr(data, ' ', line ? (size_t)(line - data) : len);
    uri->at = uri->len = 0;
    if (space) {
        char *last = (line ? line : end) - 1;
        while (last > space && *last != ' ') {
            last--;
        }
        uri->at = (size_t)(space - data) + 1;
        uri->len = last > space ? (size_t)(last - space) - 1 : 0;
        *space = *last = 0;
    }
    while (line && line < end) {
        if (line > data && line[-1] == '\r') {
            line[-1] = 0;
        }
        *line++ = 0;
        char *next = memchr(line, '\n', (size_t)(end - line));
        char *colon = memchr(line, ':', (size_t)((next ? next : end) - line));
        if (colon) {
            *colon = 0;
        }
        line = next;
    }
}

static void head(aicpi_arena *arena, const uint8_t *bytes, size_t size, size_t expected, bool raw) {
    aicps_http_head out;
    aicps_http_span uri = {4, size > 14 ? size % 7 : 0};
    /* Exactly as large as the section: a step outside shows. */
    char *data = malloc(size ? size : 1);
    check(data != NULL);
    memcpy(data, bytes, size);
    if (!raw) {
        cut(data, size, &uri);
    }
    if (uri.at + uri.len <= size) {
        aicps_http_refusal why = aicps_http_head_parse(arena, data, size, uri, expected, &out);
        check(why.status == 0 || (why.status >= 400 && why.status < 600 && why.type && why.text));
        if (why.status == 0) {
            check(out.header_count == expected && !(out.chunked && out.has_length));
            aicps_http_network trusted;
            aicps_http_ip ip;
            check(aicps_http_network_parse(AICPI_SLICE("10.0.0.0/8"), &trusted));
            (void)aicps_http_forwarded_for(out.headers, out.header_count, &trusted, 1, &ip);
        }
    }
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicpi_arena arena;
    aicps_http_request request;
    aicps_http_ip ip, again;
    aicps_http_network network;
    char text[AICPS_HTTP_IP_TEXT];
    if (size == 0) {
        return 0;
    }
    aicpi_arena_init(&arena, NULL, 4096, 0);
    head(&arena, data + 1, size - 1, data[0] & 15, (data[0] & 16) != 0);
    char *copy = malloc(size);
    check(copy != NULL);
    memcpy(copy, data + 1, size - 1);
    aicpi_slice all = aicpi_slice_of(copy, size - 1);
    memset(&request, 0, sizeof request);
    if (aicps_http_target_parse(&arena, all, &request).status == 0) {
        check(request.path.len > 0 && request.segment_count <= AICPS_HTTP_SEGMENTS_MAX);
        for (size_t i = 0; i < request.segment_count; i++) {
            check(
                request.segments[i].len <= request.path.len &&
                !memchr(request.segments[i].data, 0, request.segments[i].len));
        }
    }
    if (aicps_http_ip_parse(all, &ip)) {
        aicps_http_ip_format(&ip, text);
        check(
            aicps_http_ip_parse(aicpi_slice_cstr(text), &again) &&
            memcmp(&ip, &again, sizeof ip) == 0);
    }
    if (aicps_http_network_parse(all, &network)) {
        check(network.bits <= 128 && aicps_http_network_has(&network, &network.ip));
    }
    aicps_http_pair pair = {AICPI_SLICE("x-forwarded-for"), all};
    (void)aicps_http_forwarded_for(&pair, 1, &network, 0, &ip);
    free(copy);
    aicpi_arena_deinit(&arena);
    return 0;
}
