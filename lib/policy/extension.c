#include "lib/policy/extension.h"

#include "aicp/policy.h"

#include <string.h>

#define DAY_MS INT64_C(86400000)

const aicpi_policy_fn aicpi_policy_fns[AICPI_POLICY_FN_COUNT] = {
#define FN(text, word, method, args) {text, method, args},
    AICPI_POLICY_FN_MAP(FN)
#undef FN
};

int aicpi_policy_fn_find(aicpi_slice name) {
    for (int i = 0; i < AICPI_POLICY_FN_COUNT; i++) {
        if (aicpi_slice_is(name, aicpi_policy_fns[i].name)) {
            return i;
        }
    }
    return -1;
}

static bool failed(aicpi_policy_fault *fault, const char *reason) {
    *fault = (aicpi_policy_fault){.kind = AICP_POLICY_ERROR_EXTENSION, .reason = reason};
    return false;
}

static bool construct(
    int fn,
    aicpi_slice text,
    aicpi_arena *arena,
    aicpi_policy_value *out,
    aicpi_policy_fault *fault) {
    const char *wrong = NULL;
    int64_t n = 0;
    switch (fn) {
    case AICPI_POLICY_FN_DECIMAL:
        wrong = aicpi_policy_decimal_parse(text, &n);
        *out = aicpi_policy_of_number(AICPI_POLICY_DECIMAL, n);
        break;
    case AICPI_POLICY_FN_DATETIME:
        wrong = aicpi_policy_datetime_parse(text, &n);
        *out = aicpi_policy_of_number(AICPI_POLICY_DATETIME, n);
        break;
    case AICPI_POLICY_FN_DURATION:
        wrong = aicpi_policy_duration_parse(text, &n);
        *out = aicpi_policy_of_number(AICPI_POLICY_DURATION, n);
        break;
    default: {
        aicpi_policy_ip *ip = aicpi_arena_alloc(arena, sizeof *ip);
        if (!ip) {
            *fault = (aicpi_policy_fault){0};
            return false;
        }
        wrong = aicpi_policy_ip_parse(text, ip);
        *out = (aicpi_policy_value){.kind = AICPI_POLICY_IP, .u.ip = ip};
        break;
    }
    }
    return wrong ? failed(fault, wrong) : true;
}

static bool compare_decimals(int fn, int64_t a, int64_t b) {
    switch (fn) {
    case AICPI_POLICY_FN_LESS_THAN:
        return a < b;
    case AICPI_POLICY_FN_LESS_THAN_OR_EQUAL:
        return a <= b;
    case AICPI_POLICY_FN_GREATER_THAN:
        return a > b;
    default:
        return a >= b;
    }
}

static bool test_ip(int fn, const aicpi_policy_value *args) {
    const aicpi_policy_ip *ip = args[0].u.ip;
    switch (fn) {
    case AICPI_POLICY_FN_IS_IPV4:
        return !ip->v6;
    case AICPI_POLICY_FN_IS_IPV6:
        return ip->v6;
    case AICPI_POLICY_FN_IS_LOOPBACK:
        return aicpi_policy_ip_is_loopback(ip);
    case AICPI_POLICY_FN_IS_MULTICAST:
        return aicpi_policy_ip_is_multicast(ip);
    default:
        return aicpi_policy_ip_in_range(ip, args[1].u.ip);
    }
}

/* Milliseconds since the start of the UTC day, also before 1970. */
static int64_t time_of_day(int64_t ms) {
    int64_t rest = ms % DAY_MS;
    return rest < 0 ? rest + DAY_MS : rest;
}

static bool on_datetime(
    int fn, const aicpi_policy_value *args, aicpi_policy_value *out, aicpi_policy_fault *fault) {
    int64_t t = args[0].u.integer;
    int64_t n = 0;
    switch (fn) {
    case AICPI_POLICY_FN_OFFSET:
        if (__builtin_add_overflow(t, args[1].u.integer, &n)) {
            return failed(fault, "the datetime is out of range");
        }
        *out = aicpi_policy_of_number(AICPI_POLICY_DATETIME, n);
        return true;
    case AICPI_POLICY_FN_DURATION_SINCE:
        if (__builtin_sub_overflow(t, args[1].u.integer, &n)) {
            return failed(fault, "the duration is out of range");
        }
        *out = aicpi_policy_of_number(AICPI_POLICY_DURATION, n);
        return true;
    case AICPI_POLICY_FN_TO_DATE:
        if (__builtin_sub_overflow(t, time_of_day(t), &n)) {
            return failed(fault, "the date is out of range");
        }
        *out = aicpi_policy_of_number(AICPI_POLICY_DATETIME, n);
        return true;
    default:
        *out = aicpi_policy_of_number(AICPI_POLICY_DURATION, time_of_day(t));
        return true;
    }
}

static int64_t in_units(int fn, int64_t ms) {
    switch (fn) {
    case AICPI_POLICY_FN_TO_SECONDS:
        return ms / 1000;
    case AICPI_POLICY_FN_TO_MINUTES:
        return ms / 60000;
    case AICPI_POLICY_FN_TO_HOURS:
        return ms / 3600000;
    case AICPI_POLICY_FN_TO_DAYS:
        return ms / DAY_MS;
    default:
        return ms;
    }
}

void aicpi_policy_fn_argument_kinds(int fn, uint32_t kinds[2]) {
    if (fn <= AICPI_POLICY_FN_DURATION) {
        kinds[0] = AICPI_POLICY_STRING;
    } else if (fn <= AICPI_POLICY_FN_GREATER_THAN_OR_EQUAL) {
        kinds[0] = AICPI_POLICY_DECIMAL;
    } else if (fn <= AICPI_POLICY_FN_IS_IN_RANGE) {
        kinds[0] = AICPI_POLICY_IP;
    } else if (fn <= AICPI_POLICY_FN_TO_TIME) {
        kinds[0] = AICPI_POLICY_DATETIME;
    } else {
        kinds[0] = AICPI_POLICY_DURATION;
    }
    kinds[1] = fn == AICPI_POLICY_FN_OFFSET ? AICPI_POLICY_DURATION : kinds[0];
}

uint32_t aicpi_policy_fn_result_kind(int fn) {
    switch (fn) {
    case AICPI_POLICY_FN_DECIMAL:
        return AICPI_POLICY_DECIMAL;
    case AICPI_POLICY_FN_IP:
        return AICPI_POLICY_IP;
    case AICPI_POLICY_FN_DATETIME:
    case AICPI_POLICY_FN_OFFSET:
    case AICPI_POLICY_FN_TO_DATE:
        return AICPI_POLICY_DATETIME;
    case AICPI_POLICY_FN_DURATION:
    case AICPI_POLICY_FN_DURATION_SINCE:
    case AICPI_POLICY_FN_TO_TIME:
        return AICPI_POLICY_DURATION;
    default:
        return fn < AICPI_POLICY_FN_TO_DATE ? AICPI_POLICY_BOOL : AICPI_POLICY_LONG;
    }
}

bool aicpi_policy_fn_call(
    int fn,
    const aicpi_policy_value *args,
    size_t count,
    aicpi_arena *arena,
    aicpi_policy_value *out,
    aicpi_policy_fault *fault) {
    uint32_t kinds[2];
    if (count != aicpi_policy_fns[fn].args || count > sizeof kinds / sizeof *kinds) {
        *fault = (aicpi_policy_fault){
            .kind = AICP_POLICY_ERROR_ARGUMENTS, .reason = "wrong number of arguments"};
        return false;
    }
    aicpi_policy_fn_argument_kinds(fn, kinds);
    for (uint32_t i = 0; i < count; i++) {
        if (args[i].kind != kinds[i]) {
            *fault = (aicpi_policy_fault){
                .kind = AICP_POLICY_ERROR_TYPE, .argument = i, .expected = kinds[i]};
            return false;
        }
    }
    switch (kinds[0]) {
    case AICPI_POLICY_STRING:
        return construct(fn, aicpi_policy_text(args[0].u.string), arena, out, fault);
    case AICPI_POLICY_DECIMAL:
        *out = aicpi_policy_of_bool(compare_decimals(fn, args[0].u.integer, args[1].u.integer));
        return true;
    case AICPI_POLICY_IP:
        *out = aicpi_policy_of_bool(test_ip(fn, args));
        return true;
    case AICPI_POLICY_DATETIME:
        return on_datetime(fn, args, out, fault);
    default:
        *out = aicpi_policy_of_number(AICPI_POLICY_LONG, in_units(fn, args[0].u.integer));
        return true;
    }
}
