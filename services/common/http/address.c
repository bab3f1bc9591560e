#include "services/common/http/parse.h"

#include <arpa/inet.h>
#include <string.h>

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool parse_plain(aicpi_slice text, aicps_http_ip *out, bool *v4) {
    char copy[AICPS_HTTP_IP_TEXT];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, 0, text.len)) {
        return false;
    }
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    *v4 = false;
    if (inet_pton(AF_INET6, copy, out->bytes) == 1) {
        return true;
    }
    *v4 = true;
    memcpy(out->bytes, mapped, sizeof mapped);
    return inet_pton(AF_INET, copy, out->bytes + sizeof mapped) == 1;
}

static bool digits(const char *data, size_t len, unsigned most, unsigned *out) {
    unsigned n = 0;
    if (len == 0 || len > 5) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (data[i] < '0' || data[i] > '9') {
            return false;
        }
        n = n * 10 + (unsigned)(data[i] - '0');
    }
    *out = n;
    return n <= most;
}

bool aicps_http_ip_parse(aicpi_slice text, aicps_http_ip *out) {
    bool v4;
    unsigned port;
    if (parse_plain(text, out, &v4)) {
        return true;
    }
    if (text.len > 2 && text.data[0] == '[') {
        const char *close = memchr(text.data, ']', text.len);
        if (!close) {
            return false;
        }
        size_t inner = (size_t)(close - text.data) - 1;
        size_t rest = text.len - inner - 2;
        return parse_plain(aicpi_slice_of(text.data + 1, inner), out, &v4) && !v4 &&
               (rest == 0 || (close[1] == ':' && digits(close + 2, rest - 1, 65535, &port)));
    }
    const char *colon = text.len ? memchr(text.data, ':', text.len) : NULL;
    if (!colon) {
        return false;
    }
    size_t host = (size_t)(colon - text.data);
    return digits(colon + 1, text.len - host - 1, 65535, &port) &&
           parse_plain(aicpi_slice_of(text.data, host), out, &v4) && v4;
}

bool aicps_http_network_parse(aicpi_slice text, aicps_http_network *out) {
    const char *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    size_t host = slash ? (size_t)(slash - text.data) : text.len;
    bool v4;
    if (!parse_plain(aicpi_slice_of(text.data, host), &out->ip, &v4)) {
        return false;
    }
    out->bits = 128;
    if (!slash) {
        return true;
    }
    if (!digits(slash + 1, text.len - host - 1, v4 ? 32 : 128, &out->bits)) {
        return false;
    }
    out->bits += v4 ? 96 : 0;
    return true;
}

bool aicps_http_network_has(const aicps_http_network *network, const aicps_http_ip *ip) {
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (memcmp(network->ip.bytes, ip->bytes, whole) != 0) {
        return false;
    }
    unsigned char mask = (unsigned char)(0xff00u >> rest);
    return rest == 0 || ((network->ip.bytes[whole] ^ ip->bytes[whole]) & mask) == 0;
}

void aicps_http_ip_format(const aicps_http_ip *ip, char *out) {
    bool v4 = memcmp(ip->bytes, mapped, sizeof mapped) == 0;
    const void *from = v4 ? ip->bytes + sizeof mapped : ip->bytes;
    if (!inet_ntop(v4 ? AF_INET : AF_INET6, from, out, AICPS_HTTP_IP_TEXT)) {
        out[0] = 0;
    }
}

static bool
is_trusted(const aicps_http_network *trusted, size_t trusted_count, const aicps_http_ip *ip) {
    for (size_t i = 0; i < trusted_count; i++) {
        if (aicps_http_network_has(&trusted[i], ip)) {
            return true;
        }
    }
    return false;
}

/* Takes the last element of a comma-separated list off it. */
static aicpi_slice take_last(aicpi_slice *list) {
    size_t from = list->len;
    while (from > 0 && list->data[from - 1] != ',') {
        from--;
    }
    aicpi_slice last = {list->data + from, list->len - from};
    list->len = from > 0 ? from - 1 : 0;
    while (last.len && (last.data[0] == ' ' || last.data[0] == '\t')) {
        last.data++;
        last.len--;
    }
    while (last.len && (last.data[last.len - 1] == ' ' || last.data[last.len - 1] == '\t')) {
        last.len--;
    }
    return last;
}

bool aicps_http_forwarded_for(
    const aicps_http_pair *headers,
    size_t header_count,
    const aicps_http_network *trusted,
    size_t trusted_count,
    aicps_http_ip *out) {
    bool found = false;
    for (size_t i = header_count; i-- > 0;) {
        if (!aicpi_slice_is(headers[i].name, "x-forwarded-for")) {
            continue;
        }
        aicpi_slice list = headers[i].value;
        while (list.len) {
            aicps_http_ip ip;
            /* What a trusted proxy did not write is the caller's word: stop at nonsense. */
            if (!aicps_http_ip_parse(take_last(&list), &ip)) {
                return found;
            }
            *out = ip;
            found = true;
            if (!is_trusted(trusted, trusted_count, &ip)) {
                return true;
            }
        }
    }
    return found;
}
