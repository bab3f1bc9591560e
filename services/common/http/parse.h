/* Strict reading of what libmicrohttpd reads leniently: a header section in memory, the target,
 * addresses. No I/O. */
#ifndef AICPS_HTTP_PARSE_H
#define AICPS_HTTP_PARSE_H

#include "services/common/http/http.h"

#define AICPS_HTTP_HEADERS_MAX 100
#define AICPS_HTTP_PARAMS_MAX 256
#define AICPS_HTTP_IP_TEXT 46

/* Why a request is refused; status 0 = it is not. */
typedef struct aicps_http_refusal {
    int32_t status;
    const char *type;
    const char *text; /* a sentence */
} aicps_http_refusal;

typedef struct aicps_http_span {
    size_t at, len;
} aicps_http_span;

typedef struct aicps_http_head {
    aicps_http_pair *headers;
    size_t header_count;
    bool http_1_0;
    bool chunked;
    bool has_length;
    uint64_t length;
} aicps_http_head;

/* A header section as libmicrohttpd leaves it in memory: `data` begins with the method and ends
 * behind the empty line; it has put NUL for the two spaces of the request line, for the first colon
 * of each line, and for each CR LF or bare LF. That is unambiguous together with the number of
 * headers it has seen (`expected`): a bare LF leaves one NUL where two must be, and a NUL that the
 * client sent makes lines that it did not count. `uri` is where in `data` it found the target.
 * Names become lower case in place; what comes out points into `data`. */
aicps_http_refusal aicps_http_head_parse(
    aicpi_arena *arena,
    char *data,
    size_t len,
    aicps_http_span uri,
    size_t expected,
    aicps_http_head *out);

/* Splits and decodes the target into path, segments and query of `request`. */
aicps_http_refusal
aicps_http_target_parse(aicpi_arena *arena, aicpi_slice target, aicps_http_request *request);

typedef struct aicps_http_ip {
    unsigned char bytes[16]; /* IPv4 as ::ffff:a.b.c.d */
} aicps_http_ip;
typedef struct aicps_http_network {
    aicps_http_ip ip;
    unsigned bits; /* of 128 */
} aicps_http_network;

/* "192.0.2.1", "2001:db8::1", also "[2001:db8::1]:443" and "192.0.2.1:443" as proxies write them.
 */
bool aicps_http_ip_parse(aicpi_slice text, aicps_http_ip *out);
/* An address or address/bits. */
bool aicps_http_network_parse(aicpi_slice text, aicps_http_network *out);
bool aicps_http_network_has(const aicps_http_network *network, const aicps_http_ip *ip);
/* `out` has room for AICPS_HTTP_IP_TEXT bytes. */
void aicps_http_ip_format(const aicps_http_ip *ip, char *out);
/* The last address of the X-Forwarded-For headers that is in none of the networks; false when there
 * is none, or what stands there is not an address. */
bool aicps_http_forwarded_for(
    const aicps_http_pair *headers,
    size_t header_count,
    const aicps_http_network *trusted,
    size_t trusted_count,
    aicps_http_ip *out);

#endif
