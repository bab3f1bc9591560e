/* Extension types: decimal, ipaddr, datetime, duration, and their functions and methods. */
#ifndef AICPI_POLICY_EXTENSION_H
#define AICPI_POLICY_EXTENSION_H

#include "lib/policy/value.h"

/* Function or method: X(name in Cedar, number word, called as a method, arguments with the
 * receiver). */
#define AICPI_POLICY_FN_MAP(X)                                                                     \
    X("decimal", DECIMAL, false, 1)                                                                \
    X("ip", IP, false, 1)                                                                          \
    X("datetime", DATETIME, false, 1)                                                              \
    X("duration", DURATION, false, 1)                                                              \
    X("lessThan", LESS_THAN, true, 2)                                                              \
    X("lessThanOrEqual", LESS_THAN_OR_EQUAL, true, 2)                                              \
    X("greaterThan", GREATER_THAN, true, 2)                                                        \
    X("greaterThanOrEqual", GREATER_THAN_OR_EQUAL, true, 2)                                        \
    X("isIpv4", IS_IPV4, true, 1)                                                                  \
    X("isIpv6", IS_IPV6, true, 1)                                                                  \
    X("isLoopback", IS_LOOPBACK, true, 1)                                                          \
    X("isMulticast", IS_MULTICAST, true, 1)                                                        \
    X("isInRange", IS_IN_RANGE, true, 2)                                                           \
    X("offset", OFFSET, true, 2)                                                                   \
    X("durationSince", DURATION_SINCE, true, 2)                                                    \
    X("toDate", TO_DATE, true, 1)                                                                  \
    X("toTime", TO_TIME, true, 1)                                                                  \
    X("toMilliseconds", TO_MILLISECONDS, true, 1)                                                  \
    X("toSeconds", TO_SECONDS, true, 1)                                                            \
    X("toMinutes", TO_MINUTES, true, 1)                                                            \
    X("toHours", TO_HOURS, true, 1)                                                                \
    X("toDays", TO_DAYS, true, 1)

enum {
#define AICPI_POLICY_FN_ENUM(text, word, method, args) AICPI_POLICY_FN_##word,
    AICPI_POLICY_FN_MAP(AICPI_POLICY_FN_ENUM)
#undef AICPI_POLICY_FN_ENUM
        AICPI_POLICY_FN_COUNT
};

typedef struct aicpi_policy_fn {
    const char *name;
    bool method;
    uint8_t args;
} aicpi_policy_fn;

extern const aicpi_policy_fn aicpi_policy_fns[AICPI_POLICY_FN_COUNT];
/* Number of the function or method of that name, -1 when there is none. */
int aicpi_policy_fn_find(aicpi_slice name);
/* Kinds of the first and the second argument, and of the result. */
void aicpi_policy_fn_argument_kinds(int fn, uint32_t kinds[2]);
uint32_t aicpi_policy_fn_result_kind(int fn);

/* Reading of texts: NULL when fine, else what is wrong with it (static). */
const char *aicpi_policy_decimal_parse(aicpi_slice text, int64_t *out);
const char *aicpi_policy_ip_parse(aicpi_slice text, aicpi_policy_ip *out);
const char *aicpi_policy_datetime_parse(aicpi_slice text, int64_t *epoch_ms);
const char *aicpi_policy_duration_parse(aicpi_slice text, int64_t *ms);

/* Writing: the text of a constructor's argument, in one form for each value; its length. */
#define AICPI_POLICY_EXTENSION_TEXT 48
size_t aicpi_policy_decimal_format(int64_t n, char out[AICPI_POLICY_EXTENSION_TEXT]);
size_t aicpi_policy_ip_format(const aicpi_policy_ip *ip, char out[AICPI_POLICY_EXTENSION_TEXT]);
size_t aicpi_policy_duration_format(int64_t ms, char out[AICPI_POLICY_EXTENSION_TEXT]);
/* A datetime that was computed has no text of its own: it is so much after this one. */
#define AICPI_POLICY_DATETIME_START "1970-01-01"

bool aicpi_policy_ip_is_loopback(const aicpi_policy_ip *ip);
bool aicpi_policy_ip_is_multicast(const aicpi_policy_ip *ip);
bool aicpi_policy_ip_in_range(const aicpi_policy_ip *ip, const aicpi_policy_ip *range);

/* Result of a call that cannot give a value. */
typedef struct aicpi_policy_fault {
    int32_t kind;       /* AICP_POLICY_ERROR_... */
    uint32_t argument;  /* which argument has the wrong type */
    uint32_t expected;  /* kind it should have, for a type error */
    const char *reason; /* static; NULL together with kind 0 means out of memory */
} aicpi_policy_fault;

/* Calls a function; results live in `arena`. False: see *fault. */
bool aicpi_policy_fn_call(
    int fn,
    const aicpi_policy_value *args,
    size_t count,
    aicpi_arena *arena,
    aicpi_policy_value *out,
    aicpi_policy_fault *fault);

#endif
