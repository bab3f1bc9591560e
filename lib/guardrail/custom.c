/* Detectors of a profile's own. Patterns are searched in cells of fixed places, so that what they
 * find does not depend on how a stream is cut: see AICPI_GUARD_USER_CELL. */
#include "lib/guardrail/guardrail_internal.h"

bool aicpi_guard_is_custom(uint16_t rule) {
    return rule >= aicp_guard_rule_count() && rule != AICPI_GUARD_PLACEHOLDER;
}

const aicp_guard_rule *aicpi_guard_rule_of(const aicp_guard_profile *profile, uint16_t rule) {
    size_t own = aicp_guard_rule_count();
    return rule < own ? aicp_guard_rule_at(rule) : &profile->custom[rule - own];
}

void aicpi_guard_custom_begin(aicp_guard_result *r, uint64_t offset) {
    r->custom_origin = offset;
    r->custom_hold = offset;
    r->custom_needed = offset;
    for (size_t i = 0; i < r->profile->user_pattern_count; i++) {
        r->user_pos[i] = offset;
    }
    aicpi_guard_norm_begin(&r->words);
    r->words.folder.plain = true;
    r->words.origin = (aicpi_guard_place){offset, 0};
    r->word_pos = offset;
    r->word_state = 0;
}

void aicpi_guard_custom_found(aicp_guard_result *r, uint16_t custom, uint64_t start, uint64_t end) {
    const aicp_guard_rule *rule = &r->profile->custom[custom];
    if (rule->score > r->scores[AICP_GUARD_CUSTOM]) {
        r->scores[AICP_GUARD_CUSTOM] = rule->score;
    }
    aicpi_guard_candidate c = {
        .start = start,
        .end = end,
        .score = rule->score,
        .rule = (uint16_t)(aicp_guard_rule_count() + custom),
    };
    aicpi_guard_add(r, &c);
}

/* ---- patterns ------------------------------------------------------------------------------- */

static bool continues(char c) {
    return ((unsigned char)c & 0xc0) == 0x80;
}

static uint64_t skip_char(const aicp_guard_result *r, uint64_t offset, uint64_t end) {
    for (int i = 0; i < 3 && offset < end && continues(r->data[offset - r->base]); i++) {
        offset++;
    }
    return offset;
}

/* End of the text at hand without a character that is not complete. */
static uint64_t whole_chars(const aicp_guard_result *r) {
    uint64_t end = r->base + r->len;
    for (size_t back = 1; !r->final && back <= 3 && back <= r->len; back++) {
        unsigned char c = (unsigned char)r->data[r->len - back];
        if (!continues((char)c)) {
            size_t width = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
            return width > back ? end - back : end;
        }
    }
    return end;
}

static uint64_t cell_start(uint64_t offset) {
    return offset - offset % AICPI_GUARD_USER_CELL;
}

/* First byte that a pattern sees of the cell. */
static uint64_t view_start(const aicp_guard_result *r, uint64_t cell) {
    uint64_t from = cell > AICPI_GUARD_BACK ? cell - AICPI_GUARD_BACK : 0;
    return from > r->custom_origin ? from : r->custom_origin;
}

/* Searches one cell from `pos` on; returns where the next match may begin: behind the cell when it
 * is done, before its end when more bytes are needed. */
static uint64_t
search_cell(aicp_guard_result *r, const aicpi_guard_user_pattern *p, uint64_t pos, uint64_t end) {
    uint64_t cell = cell_start(pos);
    uint64_t next = cell + AICPI_GUARD_USER_CELL;
    uint64_t stop = next + AICPI_GUARD_USER_CELL;
    aicpi_guard_search how = {.inner = stop < end, .partial = stop >= end && !r->final};
    stop = stop < end ? stop : end;
    uint64_t from = skip_char(r, view_start(r, cell), stop);
    aicpi_slice text = {r->data + (from - r->base), (size_t)(stop - from)};
    how.limit = (size_t)(next - from);
    uint64_t last = next < stop ? next : stop;
    while ((pos = skip_char(r, pos, stop)) < last && !aicpi_guard_check_time(r)) {
        size_t start = 0;
        size_t finish = 0;
        how.from = (size_t)(pos - from);
        int rc = aicpi_guard_pattern_search(p->pattern, r->matcher, text, &how, &start, &finish);
        if (rc == 2) {
            return from + start;
        }
        if (rc <= 0) {
            if (rc < 0) {
                aicpi_guard_note_error(r, AICP_ERR_LIMIT);
            }
            return rc < 0 ? next : last;
        }
        if (finish > start) {
            aicpi_guard_custom_found(r, p->rule, from + start, from + finish);
        }
        pos = from + (finish > start ? finish : start + 1);
    }
    return pos;
}

static void search_pattern(aicp_guard_result *r, size_t i, uint64_t end) {
    const aicpi_guard_user_pattern *p = &r->profile->user_patterns[i];
    uint64_t pos = r->user_pos[i];
    while (pos < end && !aicpi_guard_stopped(r)) {
        uint64_t cell = cell_start(pos);
        pos = search_cell(r, p, pos, end);
        if (pos < cell + AICPI_GUARD_USER_CELL) {
            break;
        }
    }
    r->user_pos[i] = pos;
}

void aicpi_guard_custom_pass(aicp_guard_result *r) {
    uint64_t hold = r->base + r->len;
    uint64_t needed = hold;
    uint64_t end = whole_chars(r);
    for (size_t i = 0; i < r->profile->user_pattern_count; i++) {
        search_pattern(r, i, end);
        uint64_t pos = r->user_pos[i] < end || r->final ? r->user_pos[i] : end;
        uint64_t seen = view_start(r, cell_start(pos));
        hold = pos < hold ? pos : hold;
        needed = seen < needed ? seen : needed;
    }
    if (r->profile->word_count > 0) {
        uint64_t pos = aicpi_guard_keyword_pass(r);
        hold = pos < hold ? pos : hold;
        needed = pos < needed ? pos : needed;
    }
    r->custom_hold = hold;
    r->custom_needed = needed;
}
