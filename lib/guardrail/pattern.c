/* The only file that knows PCRE2. Compiled patterns are immutable and shared by threads; match
 * data, the JIT stack and the limits belong to a matcher, one per workspace.
 *
 * Compiled code lives on the C library's heap, not in the caller's allocator: the JIT compiler of
 * PCRE2 10.42 reads through NULL when an allocation fails. What matches need comes from the hook.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lib/guardrail/guardrail_internal.h"

#define MATCH_LIMIT 100000
#define DEPTH_LIMIT 1000
#define HEAP_LIMIT_KIB 8192
#define JIT_STACK_START ((size_t)32 * 1024)
#define JIT_STACK_MAX ((size_t)512 * 1024)
#define GROUPS 3
#define LOOK_BEHIND_MAX (AICPI_GUARD_BACK / 4) /* characters */

struct aicpi_guard_pattern {
    pcre2_code *code;
    bool jit;
};

struct aicpi_guard_matcher {
    aicp_allocator allocator;
    pcre2_general_context *general;
    pcre2_match_context *context;
    pcre2_match_context *search; /* of patterns that are searched: has an offset limit */
    pcre2_match_data *data;
    pcre2_jit_stack *stack;
};

static void *door_alloc(size_t size, void *user) {
    return aicpi_alloc(user, size);
}

static void door_free(void *ptr, void *user) {
    if (ptr) {
        aicpi_free(user, ptr);
    }
}

static aicp_status compile_failed(int code, size_t offset, size_t len, aicp_error *err) {
    PCRE2_UCHAR text[120];
    if (pcre2_get_error_message(code, text, sizeof text) < 0) {
        text[0] = '\0';
    }
    return aicpi_fail(
        err,
        AICP_ERR_GUARD_PATTERN,
        "pattern does not compile at byte %zu of %zu: %s",
        offset,
        len,
        (const char *)text);
}

/* A pattern that matches nothing would match everywhere. */
static aicp_status refuse_empty(const pcre2_code *code, aicp_error *err) {
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    if (!data) {
        return aicpi_nomem(err);
    }
    int rc = pcre2_match(code, (PCRE2_SPTR) "", 0, 0, 0, data, NULL);
    pcre2_match_data_free(data);
    if (rc >= 0) {
        return aicpi_fail(err, AICP_ERR_GUARD_PATTERN, "pattern matches the empty string");
    }
    return AICP_OK;
}

static aicp_status compile(
    const aicp_allocator *a,
    aicpi_slice text,
    uint32_t flags,
    aicpi_guard_pattern **out,
    aicp_error *err) {
    *out = NULL;
    aicpi_guard_pattern *pattern = aicpi_calloc(a, 1, sizeof *pattern);
    if (!pattern) {
        return aicpi_nomem(err);
    }
    int code = 0;
    PCRE2_SIZE offset = 0;
    flags |= PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY;
    pattern->code = pcre2_compile((PCRE2_SPTR)text.data, text.len, flags, &code, &offset, NULL);
    if (!pattern->code) {
        aicpi_guard_pattern_free(a, pattern);
        return code == PCRE2_ERROR_NOMEMORY || code == 121
                   ? aicpi_nomem(err)
                   : compile_failed(code, offset, text.len, err);
    }
    *out = pattern;
    return AICP_OK;
}

aicp_status aicpi_guard_pattern_compile(
    const aicp_allocator *a,
    const char *data,
    size_t len,
    bool user,
    aicpi_guard_pattern **out,
    aicp_error *err) {
    /* Anchoring at match time would leave the JIT code unused. */
    uint32_t flags = user ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : PCRE2_NEVER_UTF | PCRE2_ANCHORED;
    aicp_status status = compile(a, (aicpi_slice){data, len}, flags, out, err);
    if (status == AICP_OK && user) {
        status = refuse_empty((*out)->code, err);
    }
    if (status != AICP_OK) {
        aicpi_guard_pattern_free(a, *out);
        *out = NULL;
        return status;
    }
    (*out)->jit = pcre2_jit_compile((*out)->code, PCRE2_JIT_COMPLETE) == 0;
    return AICP_OK;
}

/* What a search cannot be asked for. */
static aicp_status refuse_search(const pcre2_code *code, aicp_error *err) {
    uint32_t empty = 0;
    uint32_t behind = 0;
    (void)pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &empty);
    (void)pcre2_pattern_info(code, PCRE2_INFO_MAXLOOKBEHIND, &behind);
    if (empty) {
        return aicpi_fail(err, AICP_ERR_GUARD_PATTERN, "pattern can match an empty string");
    }
    if (behind > LOOK_BEHIND_MAX) {
        return aicpi_fail(
            err,
            AICP_ERR_GUARD_PATTERN,
            "pattern looks back over %u characters, the most is %d",
            (unsigned)behind,
            LOOK_BEHIND_MAX);
    }
    return AICP_OK;
}

aicp_status aicpi_guard_pattern_compile_search(
    const aicp_allocator *a,
    const char *data,
    size_t len,
    aicpi_guard_pattern **out,
    aicp_error *err) {
    uint32_t flags = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_USE_OFFSET_LIMIT;
    aicp_status status = compile(a, (aicpi_slice){data, len}, flags, out, err);
    if (status == AICP_OK) {
        status = refuse_search((*out)->code, err);
    }
    if (status != AICP_OK) {
        aicpi_guard_pattern_free(a, *out);
        *out = NULL;
        return status;
    }
    uint32_t both = PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD;
    (*out)->jit = pcre2_jit_compile((*out)->code, both) == 0;
    return AICP_OK;
}

void aicpi_guard_pattern_free(const aicp_allocator *a, aicpi_guard_pattern *pattern) {
    if (pattern) {
        pcre2_code_free(pattern->code);
        aicpi_free(a, pattern);
    }
}

static void set_limits(aicpi_guard_matcher *m, pcre2_match_context *context) {
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_depth_limit(context, DEPTH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
    pcre2_jit_stack_assign(context, NULL, m->stack);
}

aicp_status aicpi_guard_matcher_new(const aicp_allocator *a, aicpi_guard_matcher **out) {
    *out = NULL;
    aicpi_guard_matcher *m = aicpi_calloc(a, 1, sizeof *m);
    if (!m) {
        return AICP_ERR_NOMEM;
    }
    m->allocator = *a;
    m->general = pcre2_general_context_create(door_alloc, door_free, &m->allocator);
    m->context = m->general ? pcre2_match_context_create(m->general) : NULL;
    m->search = m->general ? pcre2_match_context_create(m->general) : NULL;
    m->data = m->general ? pcre2_match_data_create(GROUPS, m->general) : NULL;
    m->stack =
        m->general ? pcre2_jit_stack_create(JIT_STACK_START, JIT_STACK_MAX, m->general) : NULL;
    if (!m->context || !m->search || !m->data || !m->stack) {
        aicpi_guard_matcher_free(a, m);
        return AICP_ERR_NOMEM;
    }
    set_limits(m, m->context);
    set_limits(m, m->search);
    *out = m;
    return AICP_OK;
}

void aicpi_guard_matcher_free(const aicp_allocator *a, aicpi_guard_matcher *matcher) {
    if (!matcher) {
        return;
    }
    pcre2_jit_stack_free(matcher->stack);
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    pcre2_match_context_free(matcher->search);
    pcre2_general_context_free(matcher->general);
    aicpi_free(a, matcher);
}

int aicpi_guard_pattern_match(
    const aicpi_guard_pattern *pattern,
    aicpi_guard_matcher *matcher,
    aicpi_slice text,
    size_t from,
    aicpi_guard_groups *groups) {
    /* Takes the JIT code, or the interpreter where there is none. */
    int rc = pcre2_match(
        pattern->code, (PCRE2_SPTR)text.data, text.len, from, 0, matcher->data, matcher->context);
    if (rc == PCRE2_ERROR_NOMATCH || rc == PCRE2_ERROR_PARTIAL) {
        return 0;
    }
    if (rc < 0) {
        return -1;
    }
    const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(matcher->data);
    for (size_t i = 0; i < GROUPS; i++) {
        bool set = (rc == 0 || i < (size_t)rc) && ovector[2 * i] != PCRE2_UNSET;
        groups->start[i] = set ? ovector[2 * i] : SIZE_MAX;
        groups->end[i] = set ? ovector[2 * i + 1] : SIZE_MAX;
    }
    return 1;
}

int aicpi_guard_pattern_search(
    const aicpi_guard_pattern *pattern,
    aicpi_guard_matcher *matcher,
    aicpi_slice text,
    const aicpi_guard_search *how,
    size_t *start,
    size_t *end) {
    uint32_t flags = PCRE2_NOTEMPTY;
    flags |= how->inner ? PCRE2_NOTEOL : 0;
    flags |= how->partial ? PCRE2_PARTIAL_HARD : 0;
    pcre2_set_offset_limit(matcher->search, how->limit - 1);
    int rc = pcre2_match(
        pattern->code,
        (PCRE2_SPTR)text.data,
        text.len,
        how->from,
        flags,
        matcher->data,
        matcher->search);
    if (rc == PCRE2_ERROR_NOMATCH) {
        return 0;
    }
    if (rc < 0 && rc != PCRE2_ERROR_PARTIAL) {
        return -1;
    }
    const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(matcher->data);
    *start = ovector[0];
    *end = ovector[1];
    return rc == PCRE2_ERROR_PARTIAL ? 2 : 1;
}
