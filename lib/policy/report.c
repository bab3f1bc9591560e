#include "lib/policy/report.h"

#include "lib/base/alloc.h"
#include "lib/base/error.h"

#include <stdarg.h>
#include <stdio.h>

#define FINDINGS_MOST 10000
#define WARNINGS_FROM 100
/* Longer than two types and an attribute. */
#define MESSAGE_SIZE 512

aicp_policy_report *
aicpi_policy_report_new(const aicp_policy_set *set, const aicp_policy_validate_options *options) {
    aicp_allocator a = aicpi_allocator(options->allocator);
    aicp_policy_report *r = aicpi_calloc(&a, 1, sizeof *r);
    if (r) {
        r->allocator = a;
        r->set = set;
        r->flags = options->flags;
        r->max = options->max_findings ? options->max_findings : FINDINGS_MOST;
        aicpi_arena_init(&r->arena, &a, 0, 0);
        aicpi_map_init(&r->known, &a);
    }
    return r;
}

void aicp_policy_report_free(aicp_policy_report *report) {
    if (report) {
        aicp_allocator a = report->allocator;
        aicpi_map_deinit(&report->known);
        aicpi_arena_deinit(&report->arena);
        aicpi_free(&a, report->findings);
        aicpi_free(&a, report);
    }
}

void aicpi_policy_report_begin(
    aicp_policy_report *r, const aicpi_policy_rule *rule, bool template, size_t index) {
    r->rule = rule;
    r->template = template;
    r->index = index;
    r->id = NULL;
    if (r->known.count > 0) {
        aicpi_map_deinit(&r->known);
        aicpi_map_init(&r->known, &r->allocator);
    }
}

void aicpi_policy_report_finish(aicp_policy_report *r) {
    aicpi_map_deinit(&r->known);
    aicpi_map_init(&r->known, &r->allocator);
    r->set = NULL;
    r->rule = NULL;
}

static int32_t severity(const aicp_policy_report *r, int32_t kind) {
    bool warns = kind >= WARNINGS_FROM || (kind == AICP_POLICY_FINDING_INAPPLICABLE &&
                                           (r->flags & AICP_POLICY_VALIDATE_INAPPLICABLE_WARNS));
    return warns ? AICP_POLICY_SEVERITY_WARNING : AICP_POLICY_SEVERITY_ERROR;
}

/* What makes a finding of a rule another one, followed by the message. */
typedef struct finding_key {
    uint32_t kind;
    uint32_t pos;
    char message[MESSAGE_SIZE];
} finding_key;

#define KEY_SIZE offsetof(finding_key, message)

/* Keeps the finding, whose text is already in the arena. */
static bool keep(aicp_policy_report *r, int32_t kind, uint32_t pos, const char *message) {
    if (!r->id) {
        r->id = aicpi_arena_strndup(&r->arena, r->rule->id->data, r->rule->id->len);
    }
    if (!r->id ||
        !aicpi_grow(
            &r->allocator, (void **)&r->findings, &r->capacity, r->count, sizeof *r->findings)) {
        return false;
    }
    aicpi_policy_finding *f = &r->findings[r->count++];
    *f = (aicpi_policy_finding){
        .kind = kind,
        .severity = severity(r, kind),
        .offset = pos,
        .template = r->template,
        .index = r->index,
        .id = r->id,
        .message = message};
    aicpi_policy_set_place(r->set, pos, &f->line, &f->column);
    return true;
}

void aicpi_policy_report_add(
    aicp_policy_report *r, int32_t kind, uint32_t pos, const char *format, ...) {
    finding_key key = {.kind = (uint32_t)kind, .pos = pos};
    r->failed |= severity(r, kind) == AICP_POLICY_SEVERITY_ERROR;
    va_list args;
    va_start(args, format);
    vsnprintf(key.message, sizeof key.message, format, args);
    va_end(args);
    size_t size = KEY_SIZE + strlen(key.message);
    if (aicpi_map_find(&r->known, (const char *)&key, size)) {
        return;
    }
    if (r->count >= r->max) {
        r->truncated = true;
        return;
    }
    char *copy = aicpi_arena_strndup(&r->arena, (const char *)&key, size);
    bool inserted = false;
    if (!copy || !aicpi_map_put(&r->known, copy, size, &inserted) ||
        !keep(r, kind, pos, copy + KEY_SIZE)) {
        r->nomem = true;
    }
}

/* ---- getters ---- */

static const aicpi_policy_finding *finding(const aicp_policy_report *report, size_t nth) {
    return nth < report->count ? &report->findings[nth] : NULL;
}

int32_t aicp_policy_report_passed(const aicp_policy_report *report) {
    return !report->failed;
}

int32_t aicp_policy_report_truncated(const aicp_policy_report *report) {
    return report->truncated;
}

size_t aicp_policy_report_count(const aicp_policy_report *report) {
    return report->count;
}

int32_t aicp_policy_report_severity(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f ? f->severity : 0;
}

int32_t aicp_policy_report_kind(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f ? f->kind : 0;
}

const char *aicp_policy_report_id(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f ? f->id : NULL;
}

size_t aicp_policy_report_index(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f ? f->index : SIZE_MAX;
}

int32_t aicp_policy_report_is_template(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f && f->template;
}

uint32_t aicp_policy_report_line(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f ? f->line : 0;
}

uint32_t aicp_policy_report_column(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f ? f->column : 0;
}

uint32_t aicp_policy_report_offset(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f ? f->offset : 0;
}

const char *aicp_policy_report_message(const aicp_policy_report *report, size_t nth) {
    const aicpi_policy_finding *f = finding(report, nth);
    return f ? f->message : NULL;
}

const char *aicp_policy_finding_name(int32_t kind) {
    switch (kind) {
#define FINDING_NAME(name, number, text)                                                           \
    case AICP_POLICY_FINDING_##name:                                                               \
        return text;
        AICP_POLICY_FINDING_MAP(FINDING_NAME)
#undef FINDING_NAME
    default:
        return "Unknown";
    }
}
