/* The normalised view of a text as it comes, literals in it, and the sum of injection signals. */
#include "lib/guardrail/guardrail_internal.h"

void aicpi_guard_norm_begin(aicpi_guard_norm *norm) {
    norm->folder = (aicpi_guard_folder){0};
    norm->origin = (aicpi_guard_place){0, 0};
    norm->len = 0;
    norm->base = 0;
    norm->searched = 0;
    norm->hit_count = 0;
}

void aicpi_guard_norm_deinit(const aicp_allocator *a, aicpi_guard_norm *norm) {
    if (norm->text) {
        aicpi_wipe(norm->text, norm->capacity);
    }
    aicpi_free(a, norm->text);
    aicpi_free(a, norm->places);
    aicpi_free(a, norm->hits);
    *norm = (aicpi_guard_norm){0};
}

bool aicpi_guard_norm_reserve(const aicp_allocator *a, aicpi_guard_norm *norm, size_t more) {
    size_t need = norm->len + more;
    if (need <= norm->capacity) {
        return true;
    }
    need += need / 2;
    char *text = aicpi_realloc(a, norm->text, norm->capacity, need);
    if (!text) {
        return false;
    }
    norm->text = text;
    /* One more place than bytes: where the byte behind the last one comes from. */
    size_t old = norm->capacity ? (norm->capacity + 1) * sizeof *norm->places : 0;
    aicpi_guard_step *places =
        aicpi_realloc(a, norm->places, old, (need + 1) * sizeof *norm->places);
    if (!places) {
        return false;
    }
    norm->places = places;
    norm->capacity = need;
    return true;
}

/* ---- the sum
 * ------------------------------------------------------------------------------------- */

bool aicpi_guard_looks_for_injection(const aicp_guard_result *r) {
    return r->enabled && r->profile->injection_enabled && r->direction == AICP_GUARD_INPUT &&
           r->source != AICP_GUARD_SYSTEM;
}

double aicpi_guard_injection_score(const aicp_guard_result *r) {
    double score = r->tally.best;
    if (r->source == AICP_GUARD_RETRIEVED && r->tally.order) {
        score += 0.15;
    }
    return score > 1.0 ? 1.0 : score;
}

/* The cell, made when it has no signal yet; NULL: out of memory. */
static aicpi_guard_cell *find_cell(aicp_guard_result *r, uint64_t number) {
    size_t i = r->cell_count;
    while (i > 0 && r->cells[i - 1].cell > number) {
        i--;
    }
    if (i > 0 && r->cells[i - 1].cell == number) {
        return &r->cells[i - 1];
    }
    if (!aicpi_grow(
            &r->allocator,
            (void **)&r->cells,
            &r->cell_capacity,
            r->cell_count,
            sizeof *r->cells)) {
        aicpi_guard_note_error(r, AICP_ERR_NOMEM);
        return NULL;
    }
    for (size_t k = r->cell_count++; k > i; k--) {
        r->cells[k] = r->cells[k - 1];
    }
    r->cells[i] = (aicpi_guard_cell){.cell = number};
    return &r->cells[i];
}

/* 1 - product over families of (1 - strongest signal in the two cells). */
static double sum_of(const aicpi_guard_cell *a, const aicpi_guard_cell *b) {
    double rest = 1.0;
    for (size_t i = 0; i < AICPI_GUARD_FAMILIES; i++) {
        rest *= 1.0 - (a->family[i] > b->family[i] ? a->family[i] : b->family[i]);
    }
    return 1.0 - rest;
}

static void add_up(aicp_guard_result *r, const aicpi_guard_cell *cell) {
    const aicpi_guard_cell *end = r->cells + r->cell_count;
    const aicpi_guard_cell *before = cell > r->cells ? cell - 1 : cell;
    const aicpi_guard_cell *after = cell + 1 < end ? cell + 1 : cell;
    before = before->cell + 1 == cell->cell ? before : cell;
    after = after->cell == cell->cell + 1 ? after : cell;
    double with_before = sum_of(before, cell);
    double with_after = sum_of(cell, after);
    double best = with_before > with_after ? with_before : with_after;
    r->tally.best = best > r->tally.best ? best : r->tally.best;
}

/* Forgets cells that no signal can reach any more. */
static void forget_cells(aicp_guard_result *r) {
    uint64_t least = r->run_pos < r->norm_pos ? r->run_pos : r->norm_pos;
    least = r->pos < least ? r->pos : least;
    uint64_t margin = 2 * (uint64_t)AICPI_GUARD_LONG_REACH;
    if (r->cell_count < 64 || least < margin) {
        return;
    }
    size_t drop = 0;
    while (drop < r->cell_count && r->cells[drop].cell + 2 < (least - margin) / AICPI_GUARD_CELL) {
        drop++;
    }
    r->cell_count -= drop;
    memmove(r->cells, r->cells + drop, r->cell_count * sizeof *r->cells);
}

/* The finding names the strongest signal, the first of equal ones. */
static bool is_stronger(
    const aicpi_guard_tally *t,
    double score,
    aicpi_guard_place start,
    aicpi_guard_place end,
    uint16_t rule) {
    if (score != t->rule_score) {
        return score > t->rule_score;
    }
    if (start.byte != t->start.byte) {
        return start.byte < t->start.byte;
    }
    return end.byte != t->end.byte ? end.byte > t->end.byte : rule < t->rule;
}

static aicpi_guard_place place_in(const aicpi_guard_probe *probe, size_t i) {
    aicpi_guard_step step = probe->places[i];
    return (aicpi_guard_place){
        probe->origin.byte + (uint32_t)step, probe->origin.chr + (uint32_t)(step >> 32)};
}

void aicpi_guard_signal(
    aicpi_guard_probe *probe, uint16_t rule, uint8_t family, bool order, size_t start, size_t end) {
    aicp_guard_result *r = probe->result;
    uint16_t global = (uint16_t)(probe->rule_base + rule);
    if (!r->profile->settings[global].enabled || end > probe->len) {
        return;
    }
    double score = aicp_guard_rule_at(global)->score;
    aicpi_guard_place from = probe->decoded ? probe->span_start : place_in(probe, start);
    aicpi_guard_place to = probe->decoded ? probe->span_end : place_in(probe, end);
    aicpi_guard_cell *cell = find_cell(r, from.byte / AICPI_GUARD_CELL);
    if (!cell) {
        return;
    }
    aicpi_guard_tally *t = &r->tally;
    t->order = t->order || order;
    if (score > cell->family[family]) {
        cell->family[family] = score;
        add_up(r, cell);
    }
    if (is_stronger(t, score, from, to, global)) {
        t->rule_score = score;
        t->rule = global;
        t->start = from;
        t->end = to;
        t->decoded = probe->decoded;
    }
}

/* ---- literals and their windows
 * --------------------------------------------------------------------- */

static bool
note_hits(aicp_guard_result *r, aicpi_guard_norm *norm, uint32_t state, uint64_t start) {
    const aicpi_guard_automaton *m = &r->profile->norm;
    for (int32_t e = m->first[state]; e >= 0; e = m->entries[e].next) {
        if (!aicpi_grow(
                &r->allocator,
                (void **)&norm->hits,
                &norm->hit_capacity,
                norm->hit_count,
                sizeof *norm->hits)) {
            aicpi_guard_note_error(r, AICP_ERR_NOMEM);
            return false;
        }
        const aicpi_guard_entry *entry = &m->entries[e];
        norm->hits[norm->hit_count++] =
            (aicpi_guard_hit){start, entry->detector, entry->rule, entry->len};
    }
    return true;
}

/* Notes the literals that begin at byte `i`. False: the text ends where one may still go on. */
static bool walk(aicp_guard_result *r, aicpi_guard_norm *norm, size_t i, bool final) {
    const aicpi_guard_automaton *m = &r->profile->norm;
    size_t noted = norm->hit_count;
    uint32_t s = 0;
    for (size_t k = i; k < norm->len; k++) {
        uint32_t t = m->next[(size_t)s << m->shift | m->class_of[(unsigned char)norm->text[k]]];
        if (m->depth[t] != m->depth[s] + 1) { /* no edge of the trie */
            return true;
        }
        s = t;
        if (m->first[s] >= 0 && !note_hits(r, norm, s, norm->base + i)) {
            return true;
        }
    }
    if (!final) {
        norm->hit_count = noted; /* they are noted when it is looked at again */
    }
    return final;
}

/* Looks for literals: four bytes at a time against a filter that few texts pass, then byte by byte.
 */
static void search(aicp_guard_result *r, aicpi_guard_norm *norm, bool final) {
    const uint64_t *prefix = r->profile->norm.prefix;
    size_t i = (size_t)(norm->searched - norm->base);
    for (; i + 4 <= norm->len; i++) {
        uint32_t hash = aicpi_guard_prefix_hash(norm->text + i);
        if ((prefix[hash / 64] >> hash % 64 & 1) && !walk(r, norm, i, final)) {
            break;
        }
    }
    norm->searched = norm->base + i;
}

static void visit_hit(
    aicp_guard_result *r,
    aicpi_guard_probe *probe,
    aicpi_guard_norm *norm,
    const aicpi_guard_hit *hit) {
    size_t at = (size_t)(hit->start - norm->base);
    size_t start = at > AICPI_GUARD_NORM_BACK ? at - AICPI_GUARD_NORM_BACK : 0;
    size_t left = norm->len - at;
    size_t end = left > AICPI_GUARD_NORM_REACH ? at + AICPI_GUARD_NORM_REACH : norm->len;
    probe->data = norm->text + start;
    probe->len = end - start;
    probe->anchor = at - start;
    probe->literal_len = hit->len;
    probe->places = norm->places + start;
    probe->origin = norm->origin;
    probe->rule_base = (uint16_t)aicpi_guard_rule_base(hit->detector);
    norm->places[norm->len] = norm->folder.pending ? norm->folder.pending_at : norm->folder.at;
    aicpi_guard_detectors[hit->detector]->confirm(probe, hit->rule);
    (void)r;
}

/* Visits the hits whose window is complete. */
static void
visit_hits(aicp_guard_result *r, aicpi_guard_probe *probe, aicpi_guard_norm *norm, bool final) {
    uint64_t end = norm->base + norm->len;
    size_t i = 0;
    while (i < norm->hit_count && !aicpi_guard_stopped(r)) {
        const aicpi_guard_hit *hit = &norm->hits[i];
        if (!final && hit->start + AICPI_GUARD_NORM_REACH > end) {
            break;
        }
        visit_hit(r, probe, norm, hit);
        i++;
    }
    if (i == 0) {
        return;
    }
    norm->hit_count -= i;
    memmove(norm->hits, norm->hits + i, norm->hit_count * sizeof *norm->hits);
}

/* Keeps the places of a very long stream within their halves. */
void aicpi_guard_norm_move_origin(aicpi_guard_norm *norm) {
    if (norm->len == 0 || (uint32_t)norm->folder.at <= UINT32_MAX / 2) {
        return;
    }
    aicpi_guard_step first = norm->places[0];
    for (size_t i = 0; i < norm->len; i++) {
        norm->places[i] -= first;
    }
    norm->folder.at -= first;
    norm->folder.pending_at -= first;
    norm->origin.byte += (uint32_t)first;
    norm->origin.chr += (uint32_t)(first >> 32);
}

/* Forgets text that no window reaches any more. */
static void forget(aicpi_guard_norm *norm) {
    uint64_t keep = norm->searched;
    for (size_t i = 0; i < norm->hit_count; i++) {
        keep = norm->hits[i].start < keep ? norm->hits[i].start : keep;
    }
    uint64_t back = AICPI_GUARD_NORM_BACK + AICPI_GUARD_WORD_BACK;
    keep = keep > norm->base + back ? keep - back : norm->base;
    size_t drop = (size_t)(keep - norm->base);
    if (drop < AICPI_GUARD_NORM_BLOCK / 2) {
        return;
    }
    norm->len -= drop;
    memmove(norm->text, norm->text + drop, norm->len);
    memmove(norm->places, norm->places + drop, norm->len * sizeof *norm->places);
    norm->base = keep;
    aicpi_guard_norm_move_origin(norm);
}

void aicpi_guard_norm_pass(aicp_guard_result *r) {
    uint64_t end = r->base + r->len;
    if (!aicpi_guard_looks_for_injection(r)) {
        r->norm_pos = end;
        return;
    }
    aicpi_guard_norm *norm = &r->norm;
    aicpi_guard_probe probe = {.result = r};
    bool last = false;
    while (!last && !aicpi_guard_check_time(r)) {
        size_t left = (size_t)(end - r->norm_pos);
        size_t size = left > AICPI_GUARD_NORM_BLOCK ? AICPI_GUARD_NORM_BLOCK : left;
        last = size == left;
        if (!aicpi_guard_norm_reserve(&r->allocator, norm, AICPI_GUARD_FOLD_ROOM(size))) {
            aicpi_guard_note_error(r, AICP_ERR_NOMEM);
            return;
        }
        aicpi_slice piece = {r->data + (r->norm_pos - r->base), size};
        size_t used = 0;
        norm->len += aicpi_guard_fold(
            &norm->folder,
            piece,
            last && r->final,
            norm->text + norm->len,
            norm->places + norm->len,
            &used);
        r->norm_pos += used;
        search(r, norm, last && r->final);
        visit_hits(r, &probe, norm, last && r->final);
        forget(norm);
        forget_cells(r);
    }
}

void aicpi_guard_norm_inner(
    aicp_guard_result *r,
    aicpi_slice text,
    aicpi_guard_place start,
    aicpi_guard_place end,
    uint8_t depth) {
    if (!aicpi_guard_looks_for_injection(r) || depth >= AICPI_GUARD_DEPTH) {
        return;
    }
    aicpi_guard_norm *norm = &r->inner[depth];
    aicpi_guard_norm_begin(norm);
    if (!aicpi_guard_norm_reserve(&r->allocator, norm, AICPI_GUARD_FOLD_ROOM(text.len))) {
        aicpi_guard_note_error(r, AICP_ERR_NOMEM);
        return;
    }
    aicpi_guard_probe probe = {
        .result = r, .decoded = true, .depth = depth, .span_start = start, .span_end = end};
    size_t used = 0;
    norm->len = aicpi_guard_fold(&norm->folder, text, true, norm->text, norm->places, &used);
    search(r, norm, true);
    visit_hits(r, &probe, norm, true);
}
