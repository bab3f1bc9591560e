#include "lib/policy/intern.h"

#include "lib/base/hash.h"
#include "lib/base/text.h"

void aicpi_policy_intern_init(aicpi_policy_intern *in, aicpi_arena *arena, bool share) {
    *in = (aicpi_policy_intern){.arena = arena, .seed = aicpi_hash_seed(), .share = share};
}

void aicpi_policy_intern_deinit(aicpi_policy_intern *in) {
    aicpi_free(&in->arena->allocator, in->strs);
    aicpi_free(&in->arena->allocator, in->uids);
    in->strs = NULL;
    in->uids = NULL;
}

static const aicpi_policy_str *make_str(aicpi_policy_intern *in, aicpi_slice text, uint64_t hash) {
    if (text.len >= UINT32_MAX) {
        return NULL;
    }
    aicpi_policy_str *s = aicpi_arena_alloc(in->arena, sizeof *s + text.len + 1);
    if (s) {
        s->hash = hash;
        s->len = (uint32_t)text.len;
        if (text.len > 0) {
            memcpy(s->data, text.data, text.len);
        }
        s->data[text.len] = '\0';
    }
    return s;
}

/* Both tables hold pointers to things that begin with their hash. */
static uint64_t hash_of(const void *thing) {
    uint64_t h = 0;
    memcpy(&h, thing, sizeof h);
    return h;
}

/* Doubles a table of pointers when it is three quarters full. */
static bool make_room(const aicp_allocator *a, const void ***table, size_t *mask, size_t count) {
    if (*table && count * 4 < (*mask + 1) * 3) {
        return true;
    }
    size_t slots = *table ? (*mask + 1) * 2 : 64;
    const void **grown = aicpi_calloc(a, slots, sizeof *grown);
    if (!grown) {
        return false;
    }
    for (size_t i = 0; *table && i <= *mask; i++) {
        const void *thing = (*table)[i];
        if (thing) {
            size_t at = (size_t)hash_of(thing) & (slots - 1);
            while (grown[at]) {
                at = (at + 1) & (slots - 1);
            }
            grown[at] = thing;
        }
    }
    aicpi_free(a, *table);
    *table = grown;
    *mask = slots - 1;
    return true;
}

const aicpi_policy_str *aicpi_policy_intern_str(aicpi_policy_intern *in, aicpi_slice text) {
    uint64_t hash = aicpi_hash(in->seed, text.data, text.len);
    if (!in->share) {
        return make_str(in, text, hash);
    }
    const void **table = (const void **)in->strs;
    if (!make_room(&in->arena->allocator, &table, &in->str_mask, in->str_count)) {
        return NULL;
    }
    in->strs = (const aicpi_policy_str **)table;
    size_t at = (size_t)hash & in->str_mask;
    for (; in->strs[at]; at = (at + 1) & in->str_mask) {
        const aicpi_policy_str *s = in->strs[at];
        if (s->hash == hash && aicpi_slice_eq(aicpi_policy_text(s), text)) {
            return s;
        }
    }
    const aicpi_policy_str *s = make_str(in, text, hash);
    if (s) {
        in->strs[at] = s;
        in->str_count++;
    }
    return s;
}

static const aicpi_policy_uid *make_uid(aicpi_policy_intern *in, aicpi_policy_uid wanted) {
    aicpi_policy_uid *uid = aicpi_arena_alloc(in->arena, sizeof *uid);
    if (uid) {
        *uid = wanted;
    }
    return uid;
}

const aicpi_policy_uid *aicpi_policy_intern_uid(
    aicpi_policy_intern *in, const aicpi_policy_str *type, const aicpi_policy_str *id) {
    aicpi_policy_uid wanted = {.hash = aicpi_policy_uid_hash(type, id), .type = type, .id = id};
    if (!in->share) {
        return make_uid(in, wanted);
    }
    const void **table = (const void **)in->uids;
    if (!make_room(&in->arena->allocator, &table, &in->uid_mask, in->uid_count)) {
        return NULL;
    }
    in->uids = (const aicpi_policy_uid **)table;
    size_t at = (size_t)wanted.hash & in->uid_mask;
    for (; in->uids[at]; at = (at + 1) & in->uid_mask) {
        if (aicpi_policy_uid_eq(in->uids[at], &wanted)) {
            return in->uids[at];
        }
    }
    const aicpi_policy_uid *uid = make_uid(in, wanted);
    if (uid) {
        in->uids[at] = uid;
        in->uid_count++;
    }
    return uid;
}

bool aicpi_policy_is_reserved(aicpi_slice word) {
    static const char *const words[] = {
        "true", "false", "if", "then", "else", "in", "is", "like", "has", "__cedar"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (aicpi_slice_is(word, words[i])) {
            return true;
        }
    }
    return false;
}

/* Length of the word at `start`. */
static size_t word_length(aicpi_slice text, size_t start) {
    size_t end = start;
    while (end < text.len && (aicpi_is_alnum(text.data[end]) || text.data[end] == '_')) {
        end++;
    }
    return start < text.len && aicpi_is_digit(text.data[start]) ? 0 : end - start;
}

bool aicpi_policy_is_word(aicpi_slice text) {
    return text.len > 0 && word_length(text, 0) == text.len;
}

bool aicpi_policy_is_name(aicpi_slice text) {
    return aicpi_policy_is_word(text) && !aicpi_policy_is_reserved(text);
}

bool aicpi_policy_is_path(aicpi_slice text) {
    size_t start = 0;
    for (;;) {
        size_t len = word_length(text, start);
        size_t end = start + len;
        if (len == 0 || aicpi_policy_is_reserved(aicpi_slice_of(text.data + start, len))) {
            return false;
        }
        if (end == text.len) {
            return true;
        }
        if (text.len - end < 3 || text.data[end] != ':' || text.data[end + 1] != ':') {
            return false;
        }
        start = end + 2;
    }
}

bool aicpi_policy_is_action_type(const aicpi_policy_str *type) {
    aicpi_slice text = aicpi_policy_text(type);
    const char *colon = memrchr(text.data, ':', text.len);
    if (colon) {
        text = aicpi_slice_of(colon + 1, text.len - (size_t)(colon + 1 - text.data));
    }
    return aicpi_slice_is(text, "Action");
}
