/* Aho-Corasick automaton over byte classes: one table look-up a byte, all literals at once. */
#include "lib/guardrail/guardrail_internal.h"

#define MAX_STATES 60000

static void *zeroed(const aicp_allocator *a, size_t count, size_t size) {
    return aicpi_calloc(a, count ? count : 1, size);
}

static size_t
assign_classes(aicpi_guard_automaton *m, const aicpi_guard_word *words, size_t count) {
    size_t classes = 1; /* 0: bytes of no literal */
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < words[i].text.len; j++) {
            uint8_t byte = (uint8_t)words[i].text.data[j];
            if (m->class_of[byte] == 0) {
                m->class_of[byte] = (uint8_t)classes++;
            }
        }
    }
    return classes;
}

/* The trie: `next` holds 0 where no edge is (the root is never a child). */
static aicp_status insert_words(
    aicpi_guard_automaton *m, const aicpi_guard_word *words, size_t count, aicp_error *err) {
    m->states = 1;
    m->first[0] = -1;
    for (size_t i = 0; i < count; i++) {
        aicpi_slice text = words[i].text;
        if (text.len == 0 || text.len > AICPI_GUARD_WORD_BACK) {
            return aicpi_fail(err, AICP_ERR_LIMIT, "guard: literal of %zu bytes", text.len);
        }
        size_t state = 0;
        for (size_t j = 0; j < text.len; j++) {
            uint16_t *edge = &m->next[state << m->shift | m->class_of[(uint8_t)text.data[j]]];
            if (*edge == 0) {
                m->first[m->states] = -1;
                m->depth[m->states] = (uint8_t)(j + 1);
                *edge = (uint16_t)m->states++;
            }
            state = *edge;
        }
        m->entries[i] = (aicpi_guard_entry){
            words[i].detector, words[i].rule, (uint16_t)text.len, m->first[state]};
        m->first[state] = (int32_t)i;
        if (text.len >= 4) {
            uint32_t hash = aicpi_guard_prefix_hash(text.data);
            m->prefix[hash / 64] |= UINT64_C(1) << hash % 64;
        }
    }
    return AICP_OK;
}

/* Breadth first: failure edges fill the empty places, so that each byte is one step. */
static aicp_status fill_edges(aicpi_guard_automaton *m, size_t classes) {
    uint16_t *queue = zeroed(&m->allocator, m->states, sizeof *queue);
    uint16_t *fail = zeroed(&m->allocator, m->states, sizeof *fail);
    if (!queue || !fail) {
        aicpi_free(&m->allocator, queue);
        aicpi_free(&m->allocator, fail);
        return AICP_ERR_NOMEM;
    }
    size_t head = 0;
    size_t tail = 0;
    for (size_t c = 0; c < classes; c++) {
        if (m->next[c]) {
            queue[tail++] = m->next[c];
        }
    }
    while (head < tail) {
        size_t state = queue[head++];
        size_t back = fail[state];
        m->suffix[state] = m->first[back] >= 0 ? (uint16_t)back : m->suffix[back];
        m->hot[state] = m->first[state] >= 0 || m->suffix[state] != 0;
        for (size_t c = 0; c < classes; c++) {
            uint16_t *edge = &m->next[state << m->shift | c];
            uint16_t other = m->next[back << m->shift | c];
            if (*edge) {
                fail[*edge] = other;
                queue[tail++] = *edge;
            } else {
                *edge = other;
            }
        }
    }
    aicpi_free(&m->allocator, queue);
    aicpi_free(&m->allocator, fail);
    return AICP_OK;
}

aicp_status aicpi_guard_automaton_build(
    aicpi_guard_automaton *out,
    const aicp_allocator *a,
    const aicpi_guard_word *words,
    size_t count,
    aicp_error *err) {
    *out = (aicpi_guard_automaton){.allocator = *a};
    size_t room = 1;
    for (size_t i = 0; i < count; i++) {
        room += words[i].text.len;
    }
    if (room > MAX_STATES) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "guard: more than %d bytes of literals", MAX_STATES);
    }
    size_t classes = assign_classes(out, words, count);
    while (((size_t)1 << out->shift) < classes) {
        out->shift++;
    }
    out->entry_count = count;
    out->next = zeroed(a, room << out->shift, sizeof *out->next);
    out->first = zeroed(a, room, sizeof *out->first);
    out->suffix = zeroed(a, room, sizeof *out->suffix);
    out->hot = zeroed(a, room, sizeof *out->hot);
    out->depth = zeroed(a, room, sizeof *out->depth);
    out->entries = zeroed(a, count, sizeof *out->entries);
    aicp_status status = AICP_ERR_NOMEM;
    if (out->next && out->first && out->suffix && out->hot && out->depth && out->entries) {
        status = insert_words(out, words, count, err);
        if (status == AICP_OK) {
            status = fill_edges(out, classes);
        }
    }
    if (status != AICP_OK) {
        aicpi_guard_automaton_deinit(out);
        return status == AICP_ERR_NOMEM ? aicpi_nomem(err) : status;
    }
    return AICP_OK;
}

void aicpi_guard_automaton_deinit(aicpi_guard_automaton *automaton) {
    const aicp_allocator *a = &automaton->allocator;
    aicpi_free(a, automaton->next);
    aicpi_free(a, automaton->first);
    aicpi_free(a, automaton->suffix);
    aicpi_free(a, automaton->hot);
    aicpi_free(a, automaton->depth);
    aicpi_free(a, automaton->entries);
    automaton->next = NULL;
    automaton->first = NULL;
    automaton->suffix = NULL;
    automaton->hot = NULL;
    automaton->depth = NULL;
    automaton->entries = NULL;
    automaton->states = 0;
}
