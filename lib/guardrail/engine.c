/* The passes over a text: raw bytes to anchors to detectors, encoded runs, the normalised view. */
#include "lib/guardrail/guardrail_internal.h"

#define PLACEHOLDER_REACH 64

void aicpi_guard_begin(
    aicp_guard_result *r,
    const aicp_guard_profile *profile,
    const aicp_guard_scan_options *options,
    bool keep) {
    r->profile = profile;
    r->session = options->session;
    r->direction = options->direction;
    r->source = options->source;
    r->enabled = options->direction == AICP_GUARD_OUTPUT ? profile->output
                 : options->source == AICP_GUARD_TOOL    ? profile->tools
                                                         : profile->input;
    r->keep = keep;
    aicpi_guard_start_time(r);
    r->time_mark = AICPI_GUARD_TIME_STEP;
    r->data = NULL;
    r->len = 0;
    r->base = 0;
    r->final = false;
    r->pos = 0;
    r->state = 0;
    r->run_pos = 0;
    r->norm_pos = 0;
    r->base_chars = 0;
    r->run_place = (aicpi_guard_place){0, 0};
    r->reported = false;
    aicpi_guard_norm_begin(&r->norm);
    r->decoded_bytes = 0;
    aicpi_guard_custom_begin(r, 0);
    r->tally = (aicpi_guard_tally){0};
    r->cell_count = 0;
    r->pending_count = 0;
    r->covered = 0;
    r->emitted = 0;
    r->counted = 0;
    r->chars = 0;
    r->finding_count = 0;
    r->matches = 0;
    r->action = AICP_GUARD_NONE;
    memset(r->scores, 0, sizeof r->scores);
    memset(r->risks, 0, sizeof r->risks);
    r->error = AICP_OK;
    r->rewritten = false;
    r->truncated = false;
    r->bytes = 0;
    r->reason[0] = '\0';
    aicpi_strbuf_clear(&r->out);
}

void aicpi_guard_note_error(aicp_guard_result *r, aicp_status status) {
    if (r->error != AICP_OK) {
        return;
    }
    r->error = status;
    /* Without memory nothing can be rewritten: never pass in silence. */
    int32_t action = status == AICP_ERR_NOMEM ? AICP_GUARD_BLOCK : r->profile->on_error;
    if (r->profile->monitor && status != AICP_ERR_NOMEM) {
        action = AICP_GUARD_LOG;
    }
    if (action > r->action) {
        r->action = action;
        const char *why = status == AICP_ERR_GUARD_TIME ? "time budget spent"
                          : status == AICP_ERR_LIMIT    ? "match limit passed"
                                                        : "out of memory";
        snprintf(r->reason, sizeof r->reason, "scanner_error (%s)", why);
    }
}

bool aicpi_guard_stopped(const aicp_guard_result *r) {
    return r->error == AICP_ERR_GUARD_TIME || r->error == AICP_ERR_NOMEM;
}

void aicpi_guard_start_time(aicp_guard_result *r) {
    r->deadline = aicpi_monotonic_ns(&r->profile->clock) + r->profile->timeout_ns;
    r->thread_deadline = 0;
}

/* The wall clock is read often because that is cheap. What ends a scan is work, though, not waiting
 * for a processor: once the wall clock has run out, as much time again of the thread's own counts.
 */
static bool is_time_up(aicp_guard_result *r) {
    uint64_t used = 0;
    if (aicpi_monotonic_ns(&r->profile->clock) <= r->deadline) {
        return false;
    }
    if (!aicpi_thread_time_ns(&r->profile->clock, &used)) {
        return true;
    }
    if (r->thread_deadline == 0) {
        r->thread_deadline = used + r->profile->timeout_ns;
    }
    return used > r->thread_deadline;
}

bool aicpi_guard_check_time(aicp_guard_result *r) {
    if (r->error == AICP_OK && is_time_up(r)) {
        aicpi_guard_note_error(r, AICP_ERR_GUARD_TIME);
    }
    return aicpi_guard_stopped(r);
}

/* ---- anchors ----------------------------------------------------------------------------------
 */

/* An anchor in a piece of text: raw bytes at hand, or a payload. */
typedef struct anchor {
    const char *data;
    size_t len;
    size_t at;
    bool final;
} anchor;

static void open_window(aicpi_guard_probe *probe, const anchor *a, size_t reach) {
    size_t start = a->at > AICPI_GUARD_BACK ? a->at - AICPI_GUARD_BACK : 0;
    size_t end = a->len - a->at > reach ? a->at + reach : a->len;
    probe->data = a->data + start;
    probe->len = end - start;
    probe->anchor = a->at - start;
}

/* Bytes that the detector needs from the anchor on; more than are at hand: wait. */
static size_t reach_of(const aicpi_guard_detector *detector, const anchor *a) {
    if (!detector->reach) {
        return AICPI_GUARD_REACH;
    }
    size_t left = a->len - a->at;
    left = left > AICPI_GUARD_LONG_REACH ? AICPI_GUARD_LONG_REACH : left;
    size_t back = a->at > AICPI_GUARD_BACK ? AICPI_GUARD_BACK : a->at;
    size_t reach = detector->reach(a->data + a->at, left, back);
    return reach > AICPI_GUARD_LONG_REACH ? AICPI_GUARD_LONG_REACH : reach;
}

/* "DE89..." : two letters right before the number, nothing glued to them. */
static bool has_country_prefix(const anchor *a) {
    return a->at >= 2 && aicpi_is_alpha(a->data[a->at - 1]) && aicpi_is_alpha(a->data[a->at - 2]) &&
           (a->at == 2 || !aicpi_guard_is_word(a->data[a->at - 3]));
}

static bool is_dotted(const aicpi_guard_number *n) {
    return n->groups >= 4 && n->separator[1] == '.' && n->separator[2] == '.' &&
           n->separator[3] == '.';
}

/* True when the digit at the anchor follows another one: not the start of a group. */
static bool follows_digit(const anchor *a) {
    for (size_t width = 1; width <= 3 && width <= a->at; width++) {
        size_t got = 0;
        if (aicpi_guard_digit(a->data + a->at - width, width, &got) >= 0 && got == width) {
            return true;
        }
    }
    return false;
}

/* Runs the number detectors. False: more bytes are needed. */
static bool visit_number(aicp_guard_result *r, aicpi_guard_probe *probe, const anchor *a) {
    if (follows_digit(a)) {
        return true;
    }
    aicpi_guard_number number;
    size_t left = a->len - a->at;
    left = left > AICPI_GUARD_REACH ? AICPI_GUARD_REACH : left;
    bool whole = aicpi_guard_read_number(a->data + a->at, left, &number);
    if (!whole && !a->final && left < AICPI_GUARD_REACH) {
        return false;
    }
    bool country = has_country_prefix(a);
    if (number.count < 7 && !is_dotted(&number) && !country) {
        return true;
    }
    size_t reach = number.stop > 50 || !country ? number.stop : 50;
    reach += AICPI_GUARD_CONTEXT_AFTER + 1;
    reach = reach > AICPI_GUARD_REACH ? AICPI_GUARD_REACH : reach;
    if (reach > left && !a->final) {
        return false;
    }
    open_window(probe, a, reach);
    probe->number = &number;
    for (size_t i = 0; i < r->profile->number_count; i++) {
        size_t index = r->profile->number_detectors[i];
        probe->rule_base = (uint16_t)aicpi_guard_rule_base(index);
        aicpi_guard_detectors[index]->confirm(probe, 0);
    }
    probe->number = NULL;
    return true;
}

/* `<TYPE_n>` of the session, put back in answers. False: more bytes are needed. */
static bool visit_placeholder(aicp_guard_result *r, const anchor *a) {
    if (!r->session || r->direction != AICP_GUARD_OUTPUT) {
        return true;
    }
    size_t left = a->len - a->at;
    left = left > PLACEHOLDER_REACH ? PLACEHOLDER_REACH : left;
    size_t value = 0;
    size_t n = aicpi_guard_session_lookup(r->session, a->data + a->at, left, &value);
    if (n > 0) {
        uint64_t start = r->base + a->at;
        aicpi_guard_candidate c = {
            .start = start,
            .end = start + n,
            .score = 2.0, /* nothing inside it counts */
            .rule = AICPI_GUARD_PLACEHOLDER,
            .value = value,
        };
        aicpi_guard_add(r, &c);
        return true;
    }
    /* Only letters of a placeholder so far: it may still become one. */
    size_t i = 1;
    while (i < left && (aicpi_is_digit(a->data[a->at + i]) || a->data[a->at + i] == '_' ||
                        (a->data[a->at + i] >= 'A' && a->data[a->at + i] <= 'Z'))) {
        i++;
    }
    return i < left || left == PLACEHOLDER_REACH || a->final;
}

static anchor anchor_of_entry(const anchor *end, const aicpi_guard_entry *entry) {
    anchor a = *end;
    a.at = end->at + 1 - entry->len;
    return a;
}

/* Runs the detector of one literal. False: more bytes are needed. With `dry` it only tells that. */
static bool visit_entry(
    aicp_guard_result *r,
    aicpi_guard_probe *probe,
    const anchor *end,
    const aicpi_guard_entry *entry,
    bool dry) {
    const aicpi_guard_detector *detector = aicpi_guard_detectors[entry->detector];
    anchor a = anchor_of_entry(end, entry);
    if (probe->decoded && !detector->decoded) {
        return true;
    }
    size_t reach = reach_of(detector, &a);
    if (dry) {
        return a.final || reach <= a.len - a.at;
    }
    open_window(probe, &a, reach);
    probe->literal_len = entry->len;
    probe->rule_base = (uint16_t)aicpi_guard_rule_base(entry->detector);
    probe->base = probe->decoded ? 0 : r->base + a.at - probe->anchor;
    detector->confirm(probe, entry->rule);
    return true;
}

static bool visit_entries(
    aicp_guard_result *r, aicpi_guard_probe *probe, uint32_t state, const anchor *end, bool dry) {
    const aicpi_guard_automaton *m = &r->profile->raw;
    for (uint32_t s = state; s != 0; s = m->suffix[s]) {
        for (int32_t e = m->first[s]; e >= 0; e = m->entries[e].next) {
            const aicpi_guard_entry *entry = &m->entries[e];
            anchor a = anchor_of_entry(end, entry);
            bool ready = true;
            if (entry->detector == AICPI_GUARD_NUMBER_DETECTOR) {
                if (!dry && r->enabled && !probe->decoded) {
                    probe->base =
                        r->base + a.at - (a.at > AICPI_GUARD_BACK ? AICPI_GUARD_BACK : a.at);
                    ready = visit_number(r, probe, &a);
                }
            } else if (entry->detector == AICPI_GUARD_PLACEHOLDER) {
                ready = dry || probe->decoded || visit_placeholder(r, &a);
            } else if (r->enabled) {
                ready = visit_entry(r, probe, end, entry, dry);
            }
            if (!ready) {
                return false;
            }
        }
    }
    return true;
}

/* Goes on from byte *at; stops at an anchor whose window is not complete. */
static void
run_raw(aicp_guard_result *r, aicpi_guard_probe *probe, anchor *a, size_t stop, uint32_t *state) {
    const aicpi_guard_automaton *m = &r->profile->raw;
    const uint16_t *next = m->next;
    const uint8_t *hot = m->hot;
    const uint32_t shift = m->shift;
    uint32_t s = *state;
    size_t i = a->at;
    while (i < stop) {
        uint32_t t = next[(size_t)s << shift | m->class_of[(unsigned char)a->data[i]]];
        if (hot[t]) {
            a->at = i;
            /* A number and a placeholder tell by themselves whether they must wait, and no other
             * entry ends at the same byte. */
            if (!visit_entries(r, probe, t, a, true) || !visit_entries(r, probe, t, a, false)) {
                break;
            }
        }
        s = t;
        i++;
    }
    a->at = i;
    *state = s;
}

static void raw_pass(aicp_guard_result *r) {
    aicpi_guard_probe probe = {.result = r};
    anchor a = {r->data, r->len, (size_t)(r->pos - r->base), r->final};
    while (a.at < r->len && !aicpi_guard_stopped(r)) {
        size_t stop = r->len;
        if (r->time_mark < r->base + stop) {
            stop = r->time_mark > r->base ? (size_t)(r->time_mark - r->base) : 0;
        }
        if (a.at >= stop) {
            r->time_mark = r->base + a.at + AICPI_GUARD_TIME_STEP;
            (void)aicpi_guard_check_time(r);
            continue;
        }
        run_raw(r, &probe, &a, stop, &r->state);
        r->pos = r->base + a.at;
        if (a.at < stop) {
            break;
        }
    }
}

void aicpi_guard_scan_payload(
    aicp_guard_result *r,
    aicpi_slice text,
    aicpi_guard_place start,
    aicpi_guard_place end,
    uint8_t depth) {
    if (aicpi_guard_check_time(r)) {
        return;
    }
    aicpi_guard_probe probe = {
        .result = r, .decoded = true, .depth = depth, .span_start = start, .span_end = end};
    anchor a = {text.data, text.len, 0, true};
    uint32_t state = 0;
    run_raw(r, &probe, &a, text.len, &state);
    aicpi_guard_norm_inner(r, text, start, end, depth);
    if (depth + 1 < AICPI_GUARD_DEPTH) {
        aicpi_guard_encoded_inner(r, text, start, end, (uint8_t)(depth + 1));
    }
}

/* ---- the passes together ------------------------------------------------------------------------
 */

/* No candidate will start before this offset any more: everything before the word at hand. */
static uint64_t safe_offset(const aicp_guard_result *r) {
    if (aicpi_guard_stopped(r) || r->final) {
        return r->base + r->len;
    }
    size_t i = (size_t)(r->pos - r->base);
    size_t least = i > AICPI_GUARD_WORD_BACK ? i - AICPI_GUARD_WORD_BACK : 0;
    while (i > least && (unsigned char)r->data[i - 1] > ' ') {
        i--;
    }
    uint64_t safe = r->base + i;
    if (r->run_pos < safe) {
        safe = r->run_pos;
    }
    if (r->custom_hold < safe) {
        safe = r->custom_hold;
    }
    while (safe > r->base && safe < r->base + r->len &&
           ((unsigned char)r->data[safe - r->base] & 0xc0) == 0x80) {
        safe--;
    }
    return safe;
}

void aicpi_guard_advance(
    aicp_guard_result *r, const char *data, size_t len, uint64_t base, bool final) {
    r->data = data ? data : "";
    r->len = len;
    r->base = base;
    r->final = final;
    if (!aicpi_guard_stopped(r)) {
        raw_pass(r);
        if (r->enabled) {
            aicpi_guard_encoded_pass(r);
            aicpi_guard_norm_pass(r);
            aicpi_guard_custom_pass(r);
        } else {
            r->run_pos = base + len;
            r->norm_pos = base + len;
            r->custom_hold = r->custom_needed = base + len;
        }
    }
    if (aicpi_guard_stopped(r)) {
        r->pos = r->run_pos = r->norm_pos = base + len;
        r->custom_hold = r->custom_needed = base + len;
    }
    uint64_t safe = safe_offset(r);
    aicpi_guard_resolve(r, safe);
    bool block = aicpi_guard_looks_for_injection(r) && !r->profile->monitor &&
                 r->profile->injection_action == AICP_GUARD_BLOCK &&
                 aicpi_guard_injection_score(r) >= r->profile->injection_threshold[r->source];
    if (block && r->action < AICP_GUARD_BLOCK) {
        r->action = AICP_GUARD_BLOCK;
        snprintf(r->reason, sizeof r->reason, "prompt_injection");
    }
    if (r->pending_count > 0 && r->pending[0].start < safe) {
        safe = r->pending[0].start;
    }
    if (r->keep || (final && r->rewritten)) {
        aicpi_guard_emit(r, safe);
    }
    r->bytes = base + len;
}

void aicpi_guard_skip_to(aicp_guard_result *r, uint64_t offset) {
    r->pos = offset;
    r->state = 0;
    r->run_pos = offset;
    r->norm_pos = offset;
    r->time_mark = offset;
    aicpi_guard_norm_begin(&r->norm);
    uint64_t chars = aicpi_guard_count_chars(r->data, (size_t)(offset - r->base));
    r->norm.origin = (aicpi_guard_place){offset, r->base_chars + chars};
    aicpi_guard_custom_begin(r, offset);
    r->pending_count = 0;
    r->covered = offset;
}

uint64_t aicpi_guard_needed(const aicp_guard_result *r) {
    uint64_t least = r->pos > AICPI_GUARD_BACK + AICPI_GUARD_WORD_BACK
                         ? r->pos - AICPI_GUARD_BACK - AICPI_GUARD_WORD_BACK
                         : 0;
    least = r->run_pos < least ? r->run_pos : least;
    least = r->norm_pos < least ? r->norm_pos : least;
    least = r->custom_needed < least ? r->custom_needed : least;
    if (r->pending_count > 0 && r->pending[0].start < least) {
        least = r->pending[0].start;
    }
    least = r->emitted < least ? r->emitted : least;
    return r->counted < least ? r->counted : least;
}

/* ---- the finding at the end
 * ------------------------------------------------------------------------ */

void aicpi_guard_conclude(aicp_guard_result *r) {
    if (aicpi_guard_looks_for_injection(r)) {
        const aicp_guard_profile *p = r->profile;
        double score = aicpi_guard_injection_score(r);
        r->scores[AICP_GUARD_INJECTION] = score;
        /* Below the threshold too: half a suspicion is a risk. */
        r->risks[AICP_GUARD_INJECTION] = score * aicpi_guard_weight(AICP_GUARD_INJECTION, "");
        if (score >= p->injection_threshold[r->source] && score > 0) {
            aicp_guard_finding f = {
                .start = r->tally.start.byte,
                .end = r->tally.end.byte,
                .char_start = r->tally.start.chr,
                .char_end = r->tally.end.chr,
                .score = score,
                .action = p->injection_action,
                .category = AICP_GUARD_INJECTION,
                .decoded = r->tally.decoded,
            };
            const aicp_guard_rule *rule = aicp_guard_rule_at(r->tally.rule);
            snprintf(f.type, sizeof f.type, "%s", rule->type);
            snprintf(f.rule, sizeof f.rule, "%s", rule->id);
            snprintf(f.preview, sizeof f.preview, "***");
            aicpi_guard_note_finding(r, &f);
        }
    }
    if (r->session && !r->reported) {
        r->reported = true;
        aicpi_guard_session_note(r->session, r->action, r->risks, r->matches);
    }
}
