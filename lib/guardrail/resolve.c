/* Overlapping candidates, replacements, and the list of findings. */
#include "lib/guardrail/guardrail_internal.h"

#include <stdlib.h>

void aicpi_guard_add(aicp_guard_result *r, const aicpi_guard_candidate *candidate) {
    if (!aicpi_grow(
            &r->allocator,
            (void **)&r->pending,
            &r->pending_capacity,
            r->pending_count,
            sizeof *r->pending)) {
        aicpi_guard_note_error(r, AICP_ERR_NOMEM);
        return;
    }
    /* Nearly sorted already: anchors come in order. Equal spans keep the order of the rules. */
    size_t i = r->pending_count++;
    while (i > 0) {
        const aicpi_guard_candidate *other = &r->pending[i - 1];
        bool after = other->start != candidate->start ? other->start < candidate->start
                     : other->end != candidate->end   ? other->end > candidate->end
                                                      : other->rule <= candidate->rule;
        if (after) {
            break;
        }
        r->pending[i] = *other;
        i--;
    }
    r->pending[i] = *candidate;
}

/* Best first: score, length, validated, order of the rules. */
static int by_rank(const void *x, const void *y) {
    const aicpi_guard_candidate *a = x;
    const aicpi_guard_candidate *b = y;
    if (aicpi_guard_is_custom(a->rule) != aicpi_guard_is_custom(b->rule)) {
        return aicpi_guard_is_custom(a->rule) ? 1 : -1;
    }
    if (a->score != b->score) {
        return a->score > b->score ? -1 : 1;
    }
    uint64_t a_len = a->end - a->start;
    uint64_t b_len = b->end - b->start;
    if (a_len != b_len) {
        return a_len > b_len ? -1 : 1;
    }
    if (a->validated != b->validated) {
        return a->validated ? -1 : 1;
    }
    if (a->rule != b->rule) {
        return a->rule < b->rule ? -1 : 1;
    }
    return a->start < b->start ? -1 : a->start > b->start;
}

static int by_start(const void *x, const void *y) {
    const aicpi_guard_candidate *a = x;
    const aicpi_guard_candidate *b = y;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    if (a->end != b->end) {
        return a->end > b->end ? -1 : 1;
    }
    return a->rule < b->rule ? -1 : a->rule > b->rule;
}

/* What a profile's own detector finds is hidden by nothing but a placeholder and a finding of the
 * same rule around it: another finding there may have a laxer action. */
static bool hides(const aicpi_guard_candidate *kept, const aicpi_guard_candidate *c) {
    if (c->end <= kept->start || c->start >= kept->end) {
        return false;
    }
    if (!aicpi_guard_is_custom(c->rule) || kept->rule == AICPI_GUARD_PLACEHOLDER) {
        return true;
    }
    return kept->rule == c->rule && kept->start <= c->start && kept->end >= c->end;
}

/* Keeps the candidates that no better one hides, at the front, by start; returns how many. */
static size_t choose(aicpi_guard_candidate *list, size_t count) {
    qsort(list, count, sizeof *list, by_rank);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool free_place = true;
        for (size_t k = 0; k < kept && free_place; k++) {
            free_place = !hides(&list[k], &list[i]);
        }
        if (free_place) {
            list[kept++] = list[i];
        }
    }
    qsort(list, kept, sizeof *list, by_start);
    return kept;
}

/* ---- writing
 * -------------------------------------------------------------------------------------- */

void aicpi_guard_emit(aicp_guard_result *r, uint64_t offset) {
    if (offset > r->emitted) {
        aicpi_strbuf_append(
            &r->out, r->data + (r->emitted - r->base), (size_t)(offset - r->emitted));
        r->emitted = offset;
    }
    if (r->out.failed) {
        aicpi_guard_note_error(r, AICP_ERR_NOMEM);
    }
}

static void
replace(aicp_guard_result *r, uint64_t start, uint64_t end, const char *data, size_t len) {
    aicpi_guard_emit(r, start);
    aicpi_strbuf_append(&r->out, data, len);
    r->emitted = end;
    r->rewritten = true;
    if (r->out.failed) {
        aicpi_guard_note_error(r, AICP_ERR_NOMEM);
    }
}

static void write_replacement(
    aicp_guard_result *r, const aicpi_guard_candidate *c, const aicp_guard_finding *f) {
    char text[64];
    int n = 0;
    if (f->category == AICP_GUARD_INVISIBLE) {
        n = 0;
    } else if (f->action == AICP_GUARD_HASH) {
        n = snprintf(text, sizeof text, "%s", f->hash);
    } else if (f->action == AICP_GUARD_ANONYMIZE) {
        const char *value = r->data + (c->start - r->base);
        uint32_t number =
            aicpi_guard_session_number(r->session, f->type, value, (size_t)(c->end - c->start));
        if (number == 0) {
            aicpi_guard_note_error(r, AICP_ERR_NOMEM);
            return;
        }
        n = snprintf(text, sizeof text, "<%s_%u>", f->type, (unsigned)number);
    } else {
        n = snprintf(text, sizeof text, "<%s>", f->type);
    }
    replace(r, c->start, c->end, text, (size_t)n);
}

/* ---- findings
 * --------------------------------------------------------------------------------------- */

uint64_t aicpi_guard_count_chars(const char *data, size_t len) {
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        n += ((unsigned char)data[i] & 0xc0) != 0x80;
    }
    return n;
}

aicpi_guard_place aicpi_guard_place_of(aicp_guard_result *r, uint64_t offset) {
    if (offset > r->counted) {
        r->chars += aicpi_guard_count_chars(
            r->data + (r->counted - r->base), (size_t)(offset - r->counted));
        r->counted = offset;
    }
    if (offset < r->counted) {
        uint64_t behind =
            aicpi_guard_count_chars(r->data + (offset - r->base), (size_t)(r->counted - offset));
        return (aicpi_guard_place){offset, r->chars - behind};
    }
    return (aicpi_guard_place){offset, r->chars};
}

/* First two and last two characters of values that stay secret without them. */
static void write_preview(const char *data, size_t len, char *out, size_t size) {
    size_t head = 0;
    size_t tail = len;
    bool shown = aicpi_utf8_valid(data, len, NULL) && aicpi_utf8_count(data, len) >= 12;
    for (int i = 0; i < 2 && shown; i++) {
        do {
            head++;
        } while (((unsigned char)data[head] & 0xc0) == 0x80);
        do {
            tail--;
        } while (((unsigned char)data[tail] & 0xc0) == 0x80);
    }
    snprintf(out, size, "%.*s***%.*s", (int)head, data, (int)(len - tail), data + tail);
}

static void hash_value(const aicp_guard_profile *p, const char *data, size_t len, char out[16]) {
    unsigned char hash[16];
    char hex[2 * sizeof hash + 1];
    if (!aicpi_keyed_hash(p->hash_key, data, len, hash, sizeof hash)) {
        out[0] = '\0';
        return;
    }
    aicpi_hex_encode(hash, sizeof hash, hex);
    memcpy(out, hex, 12);
    out[12] = '\0';
}

void aicpi_guard_note_finding(aicp_guard_result *r, const aicp_guard_finding *finding) {
    r->matches++;
    double risk = finding->score * aicpi_guard_weight(finding->category, finding->type);
    if (risk > r->risks[finding->category]) {
        r->risks[finding->category] = risk;
    }
    int32_t action = finding->action;
    if (r->profile->monitor && action > AICP_GUARD_LOG) {
        action = AICP_GUARD_LOG;
    }
    if (action > r->action || r->reason[0] == '\0') {
        r->action = action > r->action ? action : r->action;
        snprintf(r->reason, sizeof r->reason, "%s (%s)", finding->type, finding->rule);
    }
    if (r->finding_count >= AICPI_GUARD_MAX_FINDINGS) {
        return;
    }
    if (!aicpi_grow(
            &r->allocator,
            (void **)&r->findings,
            &r->finding_capacity,
            r->finding_count,
            sizeof *r->findings)) {
        aicpi_guard_note_error(r, AICP_ERR_NOMEM);
        return;
    }
    size_t i = r->finding_count++;
    for (; i > 0 && r->findings[i - 1].start > finding->start; i--) {
        r->findings[i] = r->findings[i - 1];
    }
    r->findings[i] = *finding;
}

/* What the profile says, as far as it can be done here. */
static int32_t action_of(const aicp_guard_result *r, uint16_t rule) {
    int32_t action = r->profile->settings[rule].action;
    if (action != AICP_GUARD_ANONYMIZE) {
        return action;
    }
    if (r->direction == AICP_GUARD_OUTPUT) {
        return AICP_GUARD_LOG; /* the placeholder would be put back at once */
    }
    return r->session ? action : AICP_GUARD_MASK;
}

static bool is_rewriting(int32_t action) {
    return action == AICP_GUARD_MASK || action == AICP_GUARD_ANONYMIZE || action == AICP_GUARD_HASH;
}

/* Lists a candidate; its action says what becomes of the text. */
static aicp_guard_finding describe(aicp_guard_result *r, const aicpi_guard_candidate *c) {
    const aicp_guard_rule *rule = aicpi_guard_rule_of(r->profile, c->rule);
    const char *value = r->data + (c->start - r->base);
    size_t len = (size_t)(c->end - c->start);
    aicpi_guard_place start = aicpi_guard_place_of(r, c->start);
    aicpi_guard_place end = aicpi_guard_place_of(r, c->end);
    aicp_guard_finding f = {
        .start = start.byte,
        .end = end.byte,
        .char_start = start.chr,
        .char_end = end.chr,
        .score = c->score,
        .action = action_of(r, c->rule),
        .category = rule->category,
        .validated = c->validated,
        .decoded = c->decoded,
    };
    snprintf(f.type, sizeof f.type, "%s", rule->type);
    snprintf(f.rule, sizeof f.rule, "%s", rule->id);
    bool hidden = strcmp(rule->type, "PRIVATE_KEY") == 0 || rule->category == AICP_GUARD_INVISIBLE;
    if (f.action == AICP_GUARD_HASH || r->matches < AICPI_GUARD_MAX_FINDINGS) {
        write_preview(value, hidden ? 0 : len, f.preview, sizeof f.preview);
        hash_value(r->profile, value, len, f.hash);
    }
    aicpi_guard_note_finding(r, &f);
    return f;
}

/* Spans of a profile's own detectors may overlap others: each is listed whole, and what of it is
 * not replaced yet is replaced. */
static void settle_custom(aicp_guard_result *r, const aicpi_guard_candidate *c) {
    aicp_guard_finding f = describe(r, c);
    if (!is_rewriting(f.action) || r->profile->monitor || c->end <= r->emitted) {
        return;
    }
    aicpi_guard_candidate rest = *c;
    rest.start = c->start < r->emitted ? r->emitted : c->start;
    write_replacement(r, &rest, &f);
    r->covered = r->covered < c->end ? c->end : r->covered;
}

static void settle(aicp_guard_result *r, aicpi_guard_candidate *c) {
    if (aicpi_guard_is_custom(c->rule)) {
        settle_custom(r, c);
        return;
    }
    if (c->start < r->covered) {
        c->start = r->covered; /* what a span of the last cluster left over */
    }
    if (c->end <= c->start) {
        return;
    }
    r->covered = c->end;
    if (c->rule == AICPI_GUARD_PLACEHOLDER) {
        aicpi_slice value = aicpi_guard_session_value(r->session, c->value);
        replace(r, c->start, c->end, value.data, value.len);
        return;
    }
    aicp_guard_finding f = describe(r, c);
    if (is_rewriting(f.action) && !r->profile->monitor) {
        write_replacement(r, c, &f);
    }
}

/* Candidates of the first cluster; *closed when nothing at or behind `safe` can join it. */
static size_t first_cluster(const aicp_guard_result *r, uint64_t safe, bool *closed) {
    const aicpi_guard_candidate *list = r->pending;
    uint64_t end = list[0].end;
    uint64_t limit = list[0].start + AICPI_GUARD_CLUSTER_BYTES;
    size_t n = 1;
    while (n < r->pending_count && n < AICPI_GUARD_CLUSTER_COUNT && list[n].start < end &&
           list[n].start < limit) {
        end = list[n].end > end ? list[n].end : end;
        n++;
    }
    bool full = n == AICPI_GUARD_CLUSTER_COUNT && list[n - 1].start < safe;
    *closed = full || safe >= (end < limit ? end : limit);
    return n;
}

void aicpi_guard_resolve(aicp_guard_result *r, uint64_t safe) {
    size_t done = 0;
    size_t count = r->pending_count;
    aicpi_guard_candidate *all = r->pending;
    if (count == 0) {
        return;
    }
    while (done < count) {
        bool closed = false;
        r->pending = all + done;
        r->pending_count = count - done;
        size_t n = first_cluster(r, safe, &closed);
        if (!closed) {
            break;
        }
        size_t kept = n > 1 ? choose(r->pending, n) : 1;
        for (size_t i = 0; i < kept; i++) {
            settle(r, &all[done + i]);
        }
        done += n;
    }
    r->pending = all;
    r->pending_count = count - done;
    if (done > 0 && done < count) {
        memmove(all, all + done, r->pending_count * sizeof *all);
    }
}
