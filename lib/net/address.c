/* Which addresses are public: IANA special-purpose registries for IPv4 and IPv6. */
#include "lib/net/net.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

typedef struct block4 {
    uint32_t base;
    uint32_t bits;
} block4;

#define IP4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static const block4 CLOSED4[] = {
    {IP4(0, 0, 0, 0), 8},       /* this network */
    {IP4(10, 0, 0, 0), 8},      /* private */
    {IP4(100, 64, 0, 0), 10},   /* shared by carriers */
    {IP4(127, 0, 0, 0), 8},     /* loopback */
    {IP4(169, 254, 0, 0), 16},  /* link-local, cloud metadata */
    {IP4(172, 16, 0, 0), 12},   /* private */
    {IP4(192, 0, 0, 0), 24},    /* protocol assignments */
    {IP4(192, 0, 2, 0), 24},    /* documentation */
    {IP4(192, 88, 99, 0), 24},  /* 6to4 relays */
    {IP4(192, 168, 0, 0), 16},  /* private */
    {IP4(198, 18, 0, 0), 15},   /* benchmarks */
    {IP4(198, 51, 100, 0), 24}, /* documentation */
    {IP4(203, 0, 113, 0), 24},  /* documentation */
    {IP4(224, 0, 0, 0), 4},     /* multicast */
    {IP4(240, 0, 0, 0), 4},     /* reserved, broadcast */
};

static bool is_public4(uint32_t address) {
    for (size_t i = 0; i < sizeof CLOSED4 / sizeof *CLOSED4; i++) {
        if (((address ^ CLOSED4[i].base) >> (32 - CLOSED4[i].bits)) == 0) {
            return false;
        }
    }
    return true;
}

static uint32_t read4(const unsigned char *p) {
    return IP4(p[0], p[1], p[2], p[3]);
}

static bool starts_with(const unsigned char *address, const char *bytes, size_t len) {
    return memcmp(address, bytes, len) == 0;
}

static bool is_public6(const unsigned char *a) {
    if (starts_with(a, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) || /* an IPv4 address in disguise */
        starts_with(a, "\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12)) {
        return is_public4(read4(a + 12));
    }
    if (starts_with(a, "\x20\x02", 2)) { /* 6to4 */
        return is_public4(read4(a + 2));
    }
    if (starts_with(a, "\x20\x01\0\0", 4) ||     /* Teredo */
        starts_with(a, "\x20\x01\x0d\xb8", 4) || /* documentation */
        starts_with(a, "\x3f\xff", 2)) {         /* documentation */
        return false;
    }
    return (a[0] & 0xE0) == 0x20; /* 2000::/3, all that is given out */
}

bool aicpi_net_is_public(const struct sockaddr *address) {
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return is_public4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        return is_public6(in6.sin6_addr.s6_addr);
    }
    return false;
}
