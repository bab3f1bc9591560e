#include "lib/cost/bpe.h"

#include "lib/base/text.h"

/* Bytes that a view keeps of a text that must be rewritten: what may be stepped back over, and as
 * much again to go on. */
enum {
    VIEW_SIZE = 3 * AICPI_BPE_WINDOW,
    REACH = AICPI_VOCAB_MAX_TOKEN,
    MARGIN = 2 * REACH,
    SLOW_WINDOW = 2 * REACH,
};

/* ---- vocabulary ---- */

/* Longest token that the n > 0 bytes at p begin with. */
static inline uint32_t longest_token(const aicpi_vocab *v, const uint8_t *p, size_t n) {
    uint32_t best = *p; /* refined below: every single byte is a token */
    uint32_t base = v->root_base;
    for (size_t i = 0; i < n; i++) {
        aicpi_vocab_node node = v->trie[base + p[i]];
        if ((node.link & AICPI_VOCAB_LINK_MASK) != (AICPI_VOCAB_OCCUPIED | p[i])) {
            break;
        }
        best = node.token != AICPI_VOCAB_NONE ? node.token : best;
        base = node.link >> 9;
    }
    return best;
}

/* Token made by merging the two, or NONE. */
static inline uint32_t merged(const aicpi_vocab *v, uint32_t left, uint32_t right) {
    uint64_t hash = aicpi_vocab_hash_pair(left, right);
    uint64_t bit = hash >> v->filter_shift;
    if ((v->filter[bit >> 6] >> (bit & 63) & 1) == 0) {
        return AICPI_VOCAB_NONE;
    }
    uint64_t mask = (UINT64_C(1) << v->header->pair_bits) - 1;
    for (uint64_t i = hash >> v->pair_shift;; i = (i + 1) & mask) {
        uint32_t token = v->pairs[i];
        if (token == AICPI_VOCAB_NONE) {
            return AICPI_VOCAB_NONE;
        }
        if (v->split[token].left == left && v->split[token].right == right) {
            return token;
        }
    }
}

/* Runs the merges of both sides backwards in time: at each moment the two tokens at the border
 * would have been merged if that had a rank below the merge that came next (on a tie the one
 * further left comes first). The first 256 tokens are the single bytes and have no merge. */
bool aicpi_bpe_compatible(const aicpi_vocab *v, uint32_t left, uint32_t right) {
    uint32_t limit = UINT32_MAX;
    for (;;) {
        if (merged(v, left, right) < limit) {
            return false;
        }
        if (left > right) {
            if (left < 256) {
                return true;
            }
            limit = left;
            left = v->split[left].right;
        } else {
            if (right < 256) {
                return true;
            }
            limit = right + 1;
            right = v->split[right].left;
        }
    }
}

/* ---- sink ---- */

static inline void give(aicpi_bpe_sink *sink, const aicpi_vocab *v, uint32_t token) {
    if (sink->count < sink->capacity) {
        if (sink->ids != NULL) {
            sink->ids[sink->count] = token;
        }
        sink->bytes += v->lengths[token];
    }
    sink->count++;
}

/* ---- the text as the encoder sees it ---- */

/* Bytes start..end of a text. A text that must be rewritten passes through `buffer`. */
typedef struct text_view {
    const uint8_t *data;
    uint64_t start;
    uint64_t end;
    bool final; /* nothing follows end */
    const uint8_t *raw;
    const uint8_t *raw_end;
    uint8_t *buffer;
} text_view;

static text_view view_clean(const uint8_t *piece, size_t len) {
    return (text_view){.data = piece, .end = len, .final = true};
}

static size_t rewrite_char(const uint8_t *raw, const uint8_t *raw_end, char out[4], size_t *taken) {
    uint32_t scalar;
    size_t left = (size_t)(raw_end - raw);
    size_t len = aicpi_utf8_decode((const char *)raw, left, &scalar);
    if (len == 0) {
        len = aicpi_utf8_invalid((const char *)raw, left);
        scalar = 0xFFFD;
    }
    *taken = len;
    return aicpi_utf8_encode(scalar, out);
}

/* Forgets the bytes before keep_from and fills up behind. */
static void view_slide(text_view *view, uint64_t keep_from) {
    size_t kept = (size_t)(view->end - keep_from);
    memmove(view->buffer, view->buffer + (keep_from - view->start), kept);
    while (view->raw < view->raw_end && kept + 4 <= VIEW_SIZE) {
        char out[4];
        size_t taken;
        size_t n = rewrite_char(view->raw, view->raw_end, out, &taken);
        memcpy(view->buffer + kept, out, n);
        kept += n;
        view->raw += taken;
    }
    view->start = keep_from;
    view->end = keep_from + kept;
    view->final = view->raw == view->raw_end;
}

static text_view view_dirty(const uint8_t *piece, size_t len, uint8_t *buffer) {
    text_view view = {.data = buffer, .raw = piece, .raw_end = piece + len, .buffer = buffer};
    view_slide(&view, 0);
    return view;
}

/* ---- first method ---- */

typedef struct walk {
    const aicpi_vocab *v;
    aicpi_bpe_sink *sink;
    uint64_t pos;                         /* encoded so far */
    uint64_t frontier;                    /* furthest position reached */
    uint64_t given;                       /* up to here tokens went to the sink */
    uint64_t count;                       /* tokens up to pos */
    uint64_t mask;                        /* window - 1 */
    uint32_t token_at[AICPI_BPE_WINDOW];  /* last token of the encoding up to a position */
    uint64_t dead[AICPI_BPE_WINDOW / 64]; /* bit: no encoding of the text goes through here */
} walk;

static inline bool is_dead(const walk *w, uint64_t pos) {
    uint64_t i = pos & w->mask;
    return (w->dead[i >> 6] >> (i & 63) & 1) != 0;
}

static void walk_init(walk *w, const aicpi_vocab *v, aicpi_bpe_sink *sink, size_t window) {
    w->v = v;
    w->sink = sink;
    w->pos = w->frontier = w->given = w->count = 0;
    w->mask = window - 1;
    w->dead[0] = 0;
}

/* Moves the frontier; the bits of words entered for the first time are cleared. */
static inline void reach(walk *w, uint64_t end) {
    for (uint64_t word = (w->frontier >> 6) + 1; word <= end >> 6; word++) {
        w->dead[word & (w->mask >> 6)] = 0;
    }
    w->frontier = end;
}

/* Gives the tokens between `given` and the last border that is not after `upto`. */
static void walk_give(walk *w, uint64_t upto) {
    uint32_t path[AICPI_BPE_WINDOW];
    size_t n = 0;
    for (uint64_t at = w->pos; at > w->given;) {
        uint32_t token = w->token_at[at & w->mask];
        if (at <= upto) {
            path[n++] = token;
        }
        at -= w->v->lengths[token];
    }
    while (n > 0) {
        uint32_t token = path[--n];
        give(w->sink, w->v, token);
        w->given += w->v->lengths[token];
    }
}

/* Goes on by one token, stepping back from dead ends as needed. False: the window is too small. */
static inline bool walk_step(walk *w, const text_view *view) {
    const aicpi_vocab *v = w->v;
    uint32_t token = longest_token(v, view->data + (w->pos - view->start), view->end - w->pos);
    for (;;) {
        uint64_t end = w->pos + v->lengths[token];
        bool open = end > w->frontier || !is_dead(w, end);
        if (open &&
            (w->pos == 0 || aicpi_bpe_compatible(v, w->token_at[w->pos & w->mask], token))) {
            if (end > w->frontier) {
                reach(w, end);
            }
            w->token_at[end & w->mask] = token;
            w->pos = end;
            w->count++;
            return true;
        }
        if (v->prefix[token] != AICPI_VOCAB_NONE) {
            token = v->prefix[token];
            continue;
        }
        w->dead[(w->pos & w->mask) >> 6] |= UINT64_C(1) << (w->pos & 63);
        if (w->pos == 0) {
            return false;
        }
        token = w->token_at[w->pos & w->mask];
        uint64_t back = w->pos - v->lengths[token];
        if (back < w->given || back + w->mask + 1 < w->frontier + MARGIN) {
            return false;
        }
        w->pos = back;
        w->count--;
    }
}

static bool walk_all(walk *w, text_view *view) {
    uint64_t window = w->mask + 1;
    for (;;) {
        while (w->pos < view->end && (view->final || view->end - w->pos >= REACH)) {
            if (!walk_step(w, view)) {
                return false;
            }
            if (w->sink->capacity > 0 && w->pos - w->given > window / 2 + window / 4) {
                walk_give(w, w->pos - window / 2);
            }
        }
        if (view->final) {
            break;
        }
        uint64_t keep = w->frontier > window ? w->frontier - window : 0;
        view_slide(view, keep > view->start ? keep : view->start);
    }
    if (w->sink->capacity > 0) {
        walk_give(w, w->pos);
    } else {
        w->sink->count += w->count;
    }
    return true;
}

/* ---- second method ---- */

typedef struct slow_walk {
    uint32_t token[SLOW_WINDOW]; /* last token of the encoding up to a position, or NONE */
    uint64_t count[SLOW_WINDOW];
    uint32_t *kept; /* the same tokens for all positions; NULL when only counting */
} slow_walk;

/* Every token that begins at `pos` and fits behind the one before it. */
static void slow_step(slow_walk *s, const aicpi_vocab *v, const text_view *view, uint64_t pos) {
    const uint8_t *p = view->data + (pos - view->start);
    uint64_t left = view->end - pos;
    uint32_t before = s->token[pos % SLOW_WINDOW];
    uint32_t base = v->root_base;
    for (uint64_t i = 0; i < left && i < REACH; i++) {
        aicpi_vocab_node node = v->trie[base + p[i]];
        if ((node.link & AICPI_VOCAB_LINK_MASK) != (AICPI_VOCAB_OCCUPIED | p[i])) {
            break;
        }
        base = node.link >> 9;
        uint64_t at = (pos + i + 1) % SLOW_WINDOW;
        if (node.token != AICPI_VOCAB_NONE && s->token[at] == AICPI_VOCAB_NONE &&
            (pos == 0 || aicpi_bpe_compatible(v, before, node.token))) {
            s->token[at] = node.token;
            s->count[at] = s->count[pos % SLOW_WINDOW] + 1;
            if (s->kept != NULL) {
                s->kept[pos + i + 1] = node.token;
            }
        }
    }
}

/* Count of the whole text. */
static uint64_t slow_all(slow_walk *s, const aicpi_vocab *v, text_view *view) {
    memset(s->token, 0xFF, sizeof s->token);
    s->count[0] = 0;
    uint64_t pos = 0;
    for (;;) {
        while (pos < view->end && (view->final || view->end - pos >= REACH)) {
            if (pos == 0 || s->token[pos % SLOW_WINDOW] != AICPI_VOCAB_NONE) {
                slow_step(s, v, view, pos);
            }
            s->token[pos % SLOW_WINDOW] = AICPI_VOCAB_NONE;
            pos++;
        }
        if (view->final) {
            return s->count[pos % SLOW_WINDOW];
        }
        view_slide(view, pos);
    }
}

/* `len` is the length of the text as it is encoded. */
static bool slow_encode(const aicpi_vocab *v, text_view *view, size_t len, aicpi_bpe_sink *sink) {
    slow_walk s;
    s.kept = NULL;
    if (sink->capacity == 0) {
        sink->count += slow_all(&s, v, view);
        return true;
    }
    aicp_allocator a = aicpi_allocator(sink->allocator);
    s.kept = aicpi_calloc(&a, len + 1, 2 * sizeof(uint32_t));
    if (s.kept == NULL) {
        return false;
    }
    uint64_t count = slow_all(&s, v, view);
    uint32_t *path = s.kept + len + 1;
    uint64_t n = count;
    for (size_t at = len; at > 0 && n > 0; at -= v->lengths[s.kept[at]]) {
        path[--n] = s.kept[at];
    }
    for (uint64_t i = 0; i < count; i++) {
        give(sink, v, path[i]);
    }
    aicpi_free(&a, s.kept);
    return true;
}

/* ---- entries ---- */

bool aicpi_bpe_encode_window(
    const aicpi_vocab *v, const uint8_t *piece, size_t len, size_t window, aicpi_bpe_sink *sink) {
    text_view view = view_clean(piece, len);
    if (window != AICPI_BPE_SLOW_ONLY) {
        walk w;
        walk_init(&w, v, sink, window);
        aicpi_bpe_sink before = *sink;
        if (walk_all(&w, &view)) {
            return true;
        }
        *sink = before;
    }
    view = view_clean(piece, len);
    return slow_encode(v, &view, len, sink);
}

bool aicpi_bpe_encode(
    const aicpi_vocab *v, const uint8_t *piece, size_t len, aicpi_bpe_sink *sink) {
    return aicpi_bpe_encode_window(v, piece, len, AICPI_BPE_WINDOW, sink);
}

static size_t rewritten_length(const uint8_t *piece, size_t len) {
    size_t total = 0;
    for (const uint8_t *p = piece; p < piece + len;) {
        char out[4];
        size_t taken;
        total += rewrite_char(p, piece + len, out, &taken);
        p += taken;
    }
    return total;
}

bool aicpi_bpe_encode_dirty(
    const aicpi_vocab *v, const uint8_t *piece, size_t len, aicpi_bpe_sink *sink) {
    uint8_t buffer[VIEW_SIZE];
    walk w;
    walk_init(&w, v, sink, AICPI_BPE_WINDOW);
    aicpi_bpe_sink before = *sink;
    text_view view = view_dirty(piece, len, buffer);
    if (walk_all(&w, &view)) {
        return true;
    }
    *sink = before;
    view = view_dirty(piece, len, buffer);
    return slow_encode(v, &view, rewritten_length(piece, len), sink);
}
