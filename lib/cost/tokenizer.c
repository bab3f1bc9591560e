/* Public interface of the tokenizers. */
#include "lib/cost/cost_internal.h"

#include "lib/base/alloc.h"
#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "lib/base/text.h"
#include "lib/base/thread.h"

struct aicp_tokenizer {
    aicp_allocator allocator;
    aicpi_ref ref;
    aicpi_codec codec;
};

/* ---- plain text ---- */

/* Little-endian word of the n <= 8 bytes at p; up to `end` may be read. */
static inline uint64_t load(const uint8_t *p, size_t n, const uint8_t *end) {
    uint64_t word = 0;
    if (end - p >= 8) {
        memcpy(&word, p, 8);
        return n >= 8 ? word : word & ((UINT64_C(1) << (n * 8)) - 1);
    }
    memcpy(&word, p, n);
    return word;
}

/* The token that is exactly the piece of 1..15 bytes, or NONE. */
static inline uint32_t
whole_token(const aicpi_vocab *v, const uint8_t *p, size_t n, const uint8_t *end, bool want_id) {
    if (n <= 7) {
        uint64_t key = load(p, n, end) | (uint64_t)n << 56;
        uint64_t mask = UINT64_MAX >> v->short_shift;
        for (uint64_t i = aicpi_vocab_hash_short(key) >> v->short_shift;; i = (i + 1) & mask) {
            if (v->short_keys[i] == key) {
                return want_id ? v->short_ids[i] : 0;
            }
            if (v->short_keys[i] == 0) {
                return AICPI_VOCAB_NONE;
            }
        }
    }
    uint64_t lo = load(p, 8, end);
    uint64_t hi = load(p + 8, n - 8, end) | (uint64_t)n << 56;
    uint64_t mask = UINT64_MAX >> v->medium_shift;
    for (uint64_t i = aicpi_vocab_hash_medium(lo, hi) >> v->medium_shift;; i = (i + 1) & mask) {
        if (v->medium_keys[i].lo == lo && v->medium_keys[i].hi == hi) {
            return want_id ? v->medium_ids[i] : 0;
        }
        if (v->medium_keys[i].hi == 0) {
            return AICPI_VOCAB_NONE;
        }
    }
}

static inline bool encode_piece(
    const aicpi_vocab *v, const uint8_t *p, size_t n, const uint8_t *end, aicpi_bpe_sink *sink) {
    if (n <= 15) {
        bool keep = sink->count < sink->capacity;
        uint32_t token = whole_token(v, p, n, end, keep);
        if (token != AICPI_VOCAB_NONE) {
            if (keep) {
                sink->bytes += n;
                if (sink->ids != NULL) {
                    sink->ids[sink->count] = token;
                }
            }
            sink->count++;
            return true;
        }
    }
    return aicpi_bpe_encode(v, p, n, sink);
}

bool aicpi_cost_encode(
    const aicpi_codec *codec, const char *data, size_t len, aicpi_bpe_sink *sink) {
    if (len == 0) {
        return true; /* data may be NULL then */
    }
    const uint8_t *p = (const uint8_t *)data;
    const uint8_t *end = p + len;
    bool o200k = codec->encoding->splitter == AICPI_SPLIT_O200K;
    while (p < end && !(sink->stop && sink->count > sink->capacity)) {
        bool dirty = false;
        const uint8_t *e = o200k ? aicpi_cost_split_o200k(p, end, &dirty)
                                 : aicpi_cost_split_cl100k(p, end, &dirty);
        size_t n = (size_t)(e - p);
        bool ok = dirty ? aicpi_bpe_encode_dirty(&codec->vocab, p, n, sink)
                        : encode_piece(&codec->vocab, p, n, end, sink);
        if (!ok) {
            return false;
        }
        p = e;
    }
    return true;
}

uint64_t aicpi_cost_count(const aicpi_codec *codec, const char *data, size_t len) {
    aicpi_bpe_sink sink = {0};
    (void)aicpi_cost_encode(codec, data, len, &sink); /* counting needs no memory */
    return sink.count;
}

/* ---- special tokens ---- */

static void give_special(aicpi_bpe_sink *sink, uint32_t id, size_t len) {
    if (sink->count < sink->capacity) {
        sink->bytes += len;
        if (sink->ids != NULL) {
            sink->ids[sink->count] = id;
        }
    }
    sink->count++;
}

/* Offset of the next special token's text from `from` on, or len. */
static size_t next_special(
    const aicpi_encoding *encoding,
    const char *data,
    size_t len,
    size_t from,
    uint32_t *id,
    size_t *special_len) {
    while (from < len) {
        const char *at = memchr(data + from, '<', len - from);
        if (at == NULL) {
            return len;
        }
        from = (size_t)(at - data);
        if (len - from > 2 && at[1] == '|') {
            *id = aicpi_cost_special_at(encoding, at, len - from, special_len);
            if (*id != AICPI_VOCAB_NONE) {
                return from;
            }
        }
        from++;
    }
    return len;
}

static aicp_status encode_text(
    const aicpi_codec *codec,
    aicpi_slice text,
    int32_t special,
    aicpi_bpe_sink *sink,
    aicp_error *err) {
    size_t pos = 0;
    if (special < AICP_SPECIAL_ORDINARY || special > AICP_SPECIAL_STRICT) {
        return aicpi_fail(err, AICP_ERR_INVALID, "special mode %d is not known", (int)special);
    }
    while (special != AICP_SPECIAL_ORDINARY) {
        uint32_t id = AICPI_VOCAB_NONE;
        size_t n = 0;
        size_t at = next_special(codec->encoding, text.data, text.len, pos, &id, &n);
        if (at >= text.len) {
            break;
        }
        if (special == AICP_SPECIAL_STRICT) {
            return aicpi_fail_at(
                err,
                AICP_ERR_SPECIAL_TOKEN,
                text.data,
                text.len,
                at,
                "special token %.*s in the text",
                (int)n,
                text.data + at);
        }
        if (!aicpi_cost_encode(codec, text.data + pos, at - pos, sink)) {
            return aicpi_nomem(err);
        }
        give_special(sink, id, n);
        pos = at + n;
    }
    if (pos < text.len && !aicpi_cost_encode(codec, text.data + pos, text.len - pos, sink)) {
        return aicpi_nomem(err);
    }
    return AICP_OK;
}

/* ---- handles ---- */

aicp_status aicp_tokenizer_open(
    const char *data,
    size_t len,
    const aicp_allocator *allocator,
    aicp_tokenizer **out,
    aicp_error *err) {
    *out = NULL;
    const aicpi_encoding *encoding = aicpi_cost_encoding_find(aicpi_slice_of(data, len));
    if (encoding == NULL) {
        int shown = len > 64 ? 64 : (int)len;
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "no encoding named \"%.*s\"", shown, data);
    }
    aicp_allocator a = aicpi_allocator(allocator);
    aicp_tokenizer *t = aicpi_calloc(&a, 1, sizeof *t);
    if (t == NULL) {
        return aicpi_nomem(err);
    }
    t->allocator = a;
    aicpi_ref_init(&t->ref);
    aicpi_cost_codec_bind(&t->codec, encoding);
    *out = t;
    return AICP_OK;
}

aicp_tokenizer *aicp_tokenizer_ref(aicp_tokenizer *tokenizer) {
    aicpi_ref_get(&tokenizer->ref);
    return tokenizer;
}

void aicp_tokenizer_free(aicp_tokenizer *tokenizer) {
    if (tokenizer != NULL && aicpi_ref_put(&tokenizer->ref)) {
        aicp_allocator a = tokenizer->allocator;
        aicpi_free(&a, tokenizer);
    }
}

const char *aicp_tokenizer_name(const aicp_tokenizer *tokenizer) {
    return tokenizer->codec.encoding->name;
}

uint32_t aicp_tokenizer_vocab_size(const aicp_tokenizer *tokenizer) {
    return tokenizer->codec.encoding->vocab_size;
}

aicp_status aicp_tokenizer_count(
    const aicp_tokenizer *tokenizer,
    const char *data,
    size_t len,
    int32_t special,
    int64_t *tokens,
    aicp_error *err) {
    aicpi_bpe_sink sink = {0};
    aicp_status status =
        encode_text(&tokenizer->codec, aicpi_slice_of(data, len), special, &sink, err);
    *tokens = status == AICP_OK ? (int64_t)sink.count : 0;
    return status;
}

aicp_status aicp_tokenizer_encode_into(
    const aicp_tokenizer *tokenizer,
    const char *data,
    size_t len,
    int32_t special,
    aicp_token_ids *ids,
    aicp_error *err) {
    aicpi_bpe_sink sink = {
        .ids = ids->ids, .capacity = ids->capacity, .allocator = &tokenizer->allocator};
    aicp_status status =
        encode_text(&tokenizer->codec, aicpi_slice_of(data, len), special, &sink, err);
    ids->count = sink.count;
    if (status == AICP_OK && sink.count > sink.capacity) {
        return aicpi_fail(
            err, AICP_ERR_LIMIT, "%zu ids do not fit into room for %zu", sink.count, sink.capacity);
    }
    return status;
}

aicp_status aicp_tokenizer_encode(
    const aicp_tokenizer *tokenizer,
    const char *data,
    size_t len,
    int32_t special,
    aicp_buf *out,
    aicp_error *err) {
    *out = (aicp_buf)AICP_BUF_INIT;
    int64_t count = 0;
    aicp_status status = aicp_tokenizer_count(tokenizer, data, len, special, &count, err);
    if (status != AICP_OK) {
        return status;
    }
    size_t size;
    aicpi_strbuf b;
    if (!aicpi_mul((size_t)count, sizeof(uint32_t), &size)) {
        return aicpi_nomem(err);
    }
    aicpi_strbuf_init(&b, &tokenizer->allocator, size);
    if (size > 0 && !aicpi_strbuf_reserve(&b, size)) {
        aicpi_strbuf_deinit(&b);
        return aicpi_nomem(err);
    }
    aicpi_bpe_sink sink = {
        .ids = (uint32_t *)(void *)b.data,
        .capacity = (size_t)count,
        .allocator = &tokenizer->allocator};
    status = encode_text(&tokenizer->codec, aicpi_slice_of(data, len), special, &sink, err);
    if (status != AICP_OK) {
        aicpi_strbuf_deinit(&b);
        return status;
    }
    b.len = size;
    return aicpi_strbuf_take(&b, out, err);
}

aicp_status aicp_tokenizer_decode(
    const aicp_tokenizer *tokenizer,
    const uint32_t *ids,
    size_t ids_len,
    aicp_buf *out,
    aicp_error *err) {
    const aicpi_vocab *v = &tokenizer->codec.vocab;
    *out = (aicp_buf)AICP_BUF_INIT;
    aicpi_strbuf b;
    aicpi_strbuf_init(&b, &tokenizer->allocator, SIZE_MAX / 2);
    for (size_t i = 0; i < ids_len; i++) {
        uint32_t id = ids[i];
        char text[40];
        size_t n;
        if (id < v->header->tokens && v->lengths[id] > 0) {
            aicpi_strbuf_append(&b, (const char *)v->bytes + v->offsets[id], v->lengths[id]);
        } else if ((n = aicpi_cost_special_text(tokenizer->codec.encoding, id, text)) > 0) {
            aicpi_strbuf_append(&b, text, n);
        } else {
            aicpi_strbuf_deinit(&b);
            return aicpi_fail(
                err, AICP_ERR_NOT_FOUND, "id %u at index %zu does not exist", (unsigned)id, i);
        }
    }
    return aicpi_strbuf_take(&b, out, err);
}

/* ---- truncation ---- */

/* Bytes of the original text that stand for `bytes` bytes of the text as it is encoded, cut back to
 * a character border. */
static size_t original_length(const char *data, size_t len, uint64_t bytes) {
    size_t pos = 0;
    uint64_t seen = 0;
    while (pos < len) {
        uint32_t scalar;
        size_t n = aicpi_utf8_decode(data + pos, len - pos, &scalar);
        uint64_t encoded = n;
        if (n == 0) {
            n = aicpi_utf8_invalid(data + pos, len - pos);
            encoded = 3;
        }
        if (seen + encoded > bytes) {
            break;
        }
        seen += encoded;
        pos += n;
    }
    return pos;
}

aicp_status aicp_tokenizer_truncate(
    const aicp_tokenizer *tokenizer,
    const char *data,
    size_t len,
    int64_t max_tokens,
    size_t *bytes,
    int64_t *tokens,
    aicp_error *err) {
    const aicpi_codec *codec = &tokenizer->codec;
    *bytes = 0;
    if (tokens != NULL) {
        *tokens = 0;
    }
    if (max_tokens < 0) {
        return aicpi_fail(err, AICP_ERR_INVALID, "max_tokens is %lld", (long long)max_tokens);
    }
    /* A cut text can split into other pieces at its end and so count more; then some tokens less of
     * the whole text are taken, in growing steps, so that the time stays near linear. */
    int64_t step = 1;
    for (int64_t take = max_tokens; take > 0; take -= step, step *= 2) {
        aicpi_bpe_sink sink = {
            .capacity = (size_t)take, .stop = true, .allocator = &tokenizer->allocator};
        if (!aicpi_cost_encode(codec, data, len, &sink)) {
            return aicpi_nomem(err);
        }
        size_t n = sink.count <= sink.capacity ? len : original_length(data, len, sink.bytes);
        uint64_t count = n == len ? sink.count : aicpi_cost_count(codec, data, n);
        if (count <= (uint64_t)max_tokens) {
            *bytes = n;
            if (tokens != NULL) {
                *tokens = (int64_t)count;
            }
            return AICP_OK;
        }
    }
    return AICP_OK;
}
