/* Tokenizers: against the definition (merging by lowest rank), on inputs that break others, and the
 * rules of the interface. */
#include "tests/unit/cost/cost_test.h"

#include "lib/cost/bpe.h"
#include "lib/cost/cost_internal.h"
#include "tests/unit/support.h"

#include <pthread.h>
#include <stdlib.h>

enum { PIECE = 3000, MEGABYTE = 1 << 20 };

static uint64_t state = 1;

static uint64_t random_u64(void) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return state >> 33;
}

static aicpi_codec codec_of(const char *name) {
    aicpi_codec codec;
    aicpi_cost_codec_bind(&codec, aicpi_cost_encoding_find(aicpi_slice_cstr(name)));
    return codec;
}

/* Token of exactly these bytes, found the slow way through the encoder's own trie. */
static uint32_t token_of(const aicpi_vocab *v, const uint8_t *p, size_t len) {
    uint32_t base = v->root_base;
    uint32_t token = AICPI_VOCAB_NONE;
    for (size_t i = 0; i < len; i++) {
        aicpi_vocab_node node = v->trie[base + p[i]];
        if ((node.link & AICPI_VOCAB_LINK_MASK) != (AICPI_VOCAB_OCCUPIED | p[i])) {
            return AICPI_VOCAB_NONE;
        }
        base = node.link >> 9;
        token = node.token;
    }
    return token;
}

/* The definition: merge the neighbours of lowest rank, the leftmost on a tie, until none is left.
 */
static size_t merge_by_rank(const aicpi_vocab *v, const uint8_t *p, size_t len, uint32_t *ids) {
    static size_t start[PIECE + 1];
    size_t parts = len;
    for (size_t i = 0; i <= len; i++) {
        start[i] = i;
    }
    for (;;) {
        uint32_t best = AICPI_VOCAB_NONE;
        size_t at = 0;
        for (size_t i = 0; i + 1 < parts; i++) {
            uint32_t rank = token_of(v, p + start[i], start[i + 2] - start[i]);
            if (rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == AICPI_VOCAB_NONE) {
            break;
        }
        memmove(start + at + 1, start + at + 2, (parts - at - 1) * sizeof *start);
        parts--;
    }
    for (size_t i = 0; i < parts; i++) {
        ids[i] = token_of(v, p + start[i], start[i + 1] - start[i]);
    }
    return parts;
}

static void check_piece(const aicpi_vocab *v, const uint8_t *p, size_t len, size_t window) {
    static uint32_t expected[PIECE];
    static uint32_t got[PIECE];
    size_t count = merge_by_rank(v, p, len, expected);
    aicpi_bpe_sink sink = {.ids = got, .capacity = PIECE};
    cr_assert(aicpi_bpe_encode_window(v, p, len, window, &sink));
    cr_assert_eq(sink.count, count);
    cr_assert_eq(sink.bytes, len);
    cr_assert_arr_eq(got, expected, count * sizeof *got);
    aicpi_bpe_sink counter = {0};
    cr_assert(aicpi_bpe_encode_window(v, p, len, window, &counter));
    cr_assert_eq(counter.count, count);
}

static void check_random_pieces(const char *encoding) {
    static const char *const alphabets[] = {
        "a",
        "ab",
        "aAbB",
        " \n",
        "=-",
        "abcdefghijklmnopqrstuvwxyz",
        "eitnsraol",
        "\xe4\xb8\xad\x80\x81"};
    aicpi_codec codec = codec_of(encoding);
    uint8_t piece[400];
    for (size_t i = 0; i < 4000; i++) {
        const char *alphabet = alphabets[i % (sizeof alphabets / sizeof alphabets[0])];
        size_t n = strlen(alphabet);
        size_t len = 1 + random_u64() % (i % 50 == 0 ? sizeof piece : 60);
        for (size_t k = 0; k < len; k++) {
            piece[k] = (uint8_t)alphabet[random_u64() % n];
        }
        check_piece(&codec.vocab, piece, len, AICPI_BPE_WINDOW);
    }
}

Test(tokenizer, o200k_equals_merging_by_rank_on_random_pieces) {
    check_random_pieces("o200k_base");
}

Test(tokenizer, cl100k_equals_merging_by_rank_on_random_pieces) {
    check_random_pieces("cl100k_base");
}

Test(tokenizer, joined_tokens_equal_merging_by_rank) {
    aicpi_codec codec = codec_of("o200k_base");
    const aicpi_vocab *v = &codec.vocab;
    for (size_t i = 0; i < 3000; i++) {
        uint8_t piece[8 * AICPI_VOCAB_MAX_TOKEN];
        size_t len = 0;
        for (size_t k = 0; k < 2 + i % 6; k++) {
            uint32_t token = (uint32_t)(random_u64() % v->header->tokens);
            memcpy(piece + len, v->bytes + v->offsets[token], v->lengths[token]);
            len += v->lengths[token];
        }
        if (len <= 300) {
            check_piece(v, piece, len, AICPI_BPE_WINDOW);
        }
    }
}

Test(tokenizer, a_window_smaller_than_the_piece_changes_nothing) {
    aicpi_codec codec = codec_of("o200k_base");
    uint8_t piece[PIECE];
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < PIECE; i++) {
            piece[i] = (uint8_t)('a' + random_u64() % (round == 0 ? 26 : 2));
        }
        check_piece(&codec.vocab, piece, PIECE, 512);
    }
}

Test(tokenizer, the_method_without_stepping_back_gives_the_same) {
    aicpi_codec codec = codec_of("cl100k_base");
    uint8_t piece[700];
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < sizeof piece; i++) {
            piece[i] = (uint8_t)("eitnsraol \nzq"[random_u64() % 13]);
        }
        check_piece(&codec.vocab, piece, sizeof piece, AICPI_BPE_SLOW_ONLY);
    }
}

static int64_t count(const aicp_tokenizer *t, const char *data, size_t len) {
    int64_t tokens = -1;
    cr_assert_eq(aicp_tokenizer_count(t, data, len, AICP_SPECIAL_ORDINARY, &tokens, NULL), AICP_OK);
    return tokens;
}

Test(tokenizer, a_megabyte_of_one_kind_is_counted_in_linear_time) {
    /* A quadratic method would take hours: the test's time limit is the assertion. */
    aicp_tokenizer *t = test_tokenizer("o200k_base");
    char *text = malloc(MEGABYTE);
    memset(text, ' ', MEGABYTE);
    cr_assert_eq(count(t, text, MEGABYTE), MEGABYTE / 128);
    memset(text, 'a', MEGABYTE);
    cr_assert_eq(count(t, text, MEGABYTE), MEGABYTE / 8);
    memset(text, '\n', MEGABYTE);
    cr_assert_gt(count(t, text, MEGABYTE), 1000);
    memset(text, 0xFF, MEGABYTE);
    int64_t bad = count(t, text, MEGABYTE);
    for (size_t i = 0; i + 3 <= MEGABYTE; i += 3) {
        memcpy(text + i, "\xEF\xBF\xBD", 3);
    }
    cr_assert_leq(llabs(bad - 3 * count(t, text, MEGABYTE / 3 * 3)), 6);
    free(text);
    aicp_tokenizer_free(t);
}

Test(tokenizer, invalid_parts_count_as_replacement_characters) {
    aicp_tokenizer *t = test_tokenizer("cl100k_base");
    const char bad[] = "ab\xE4\xB8 \xF0\x9F\x98 x\xFFy\xC0\xAF";
    const char good[] = "ab\xEF\xBF\xBD \xEF\xBF\xBD x\xEF\xBF\xBDy\xEF\xBF\xBD\xEF\xBF\xBD";
    aicp_buf a = AICP_BUF_INIT;
    aicp_buf b = AICP_BUF_INIT;
    cr_assert_eq(aicp_tokenizer_encode(t, bad, sizeof bad - 1, 0, &a, NULL), AICP_OK);
    cr_assert_eq(aicp_tokenizer_encode(t, good, sizeof good - 1, 0, &b, NULL), AICP_OK);
    cr_assert_eq(a.len, b.len);
    cr_assert_arr_eq(a.data, b.data, a.len);
    aicp_buf_free(&a);
    aicp_buf_free(&b);
    aicp_tokenizer_free(t);
}

Test(tokenizer, long_invalid_pieces_keep_their_ids) {
    aicp_tokenizer *t = test_tokenizer("o200k_base");
    enum { N = 20000 };
    char *bad = malloc(N);
    char *good = malloc(3 * N);
    size_t len = 0;
    for (size_t i = 0; i < N; i++) {
        bool replace = random_u64() % 3 == 0;
        bad[i] = replace ? (char)0xFF : "!?-="[random_u64() % 4];
        memcpy(good + len, replace ? "\xEF\xBF\xBD" : bad + i, replace ? 3 : 1);
        len += replace ? 3 : 1;
    }
    aicp_buf a = AICP_BUF_INIT;
    aicp_buf b = AICP_BUF_INIT;
    cr_assert_eq(aicp_tokenizer_encode(t, bad, N, 0, &a, NULL), AICP_OK);
    cr_assert_eq(aicp_tokenizer_encode(t, good, len, 0, &b, NULL), AICP_OK);
    cr_assert_eq(a.len, b.len);
    cr_assert_arr_eq(a.data, b.data, a.len);
    aicp_buf_free(&a);
    aicp_buf_free(&b);
    free(bad);
    free(good);
    aicp_tokenizer_free(t);
}

Test(tokenizer, strict_mode_says_where_a_special_token_is) {
    aicp_tokenizer *t = test_tokenizer("o200k_base");
    const char text[] = "one\ntwo <|endoftext|>";
    int64_t tokens = -1;
    aicp_error err = {0};
    cr_assert_eq(
        aicp_tokenizer_count(t, text, sizeof text - 1, AICP_SPECIAL_STRICT, &tokens, &err),
        AICP_ERR_SPECIAL_TOKEN);
    cr_assert_eq(err.line, 2);
    cr_assert_eq(err.column, 5);
    cr_assert_eq(err.offset, 8);
    cr_assert_eq(aicp_tokenizer_count(t, text, 8, AICP_SPECIAL_STRICT, &tokens, &err), AICP_OK);
    cr_assert_eq(aicp_tokenizer_count(t, text, 3, 7, &tokens, &err), AICP_ERR_INVALID);
    aicp_tokenizer_free(t);
}

Test(tokenizer, harmony_has_named_and_reserved_tokens) {
    aicp_tokenizer *t = test_tokenizer("o200k_harmony");
    const char text[] = "<|start|>user<|message|><|reserved_200013|><|reserved_200018|>"
                        "<|endofprompt|><|reserved_200002|>";
    uint32_t room[32];
    aicp_token_ids ids = {room, 32, 0};
    cr_assert_eq(
        aicp_tokenizer_encode_into(t, text, sizeof text - 1, AICP_SPECIAL_ALLOW, &ids, NULL),
        AICP_OK);
    cr_assert_gt(ids.count, 6);
    cr_assert_eq(room[0], 200006);
    cr_assert_eq(room[2], 200008);
    cr_assert_eq(room[3], 200013);
    cr_assert_eq(room[4], 200018);
    cr_assert_eq(room[5], 200018);
    cr_assert_lt(room[6], 199998); /* 200002 has a name, so this is plain text */
    aicp_buf back = AICP_BUF_INIT;
    cr_assert_eq(aicp_tokenizer_decode(t, room, 4, &back, NULL), AICP_OK);
    cr_assert_str_eq(back.data, "<|start|>user<|message|><|reserved_200013|>");
    aicp_buf_free(&back);
    aicp_tokenizer_free(t);
}

Test(tokenizer, ids_without_room_are_counted_and_reported) {
    aicp_tokenizer *t = test_tokenizer("o200k_base");
    uint32_t room[2] = {0, 0};
    aicp_token_ids ids = {room, 2, 0};
    aicp_error err = {0};
    const char text[] = "hello world, how are you?";
    cr_assert_eq(
        aicp_tokenizer_encode_into(t, text, sizeof text - 1, 0, &ids, &err), AICP_ERR_LIMIT);
    cr_assert_eq(ids.count, (size_t)count(t, text, sizeof text - 1));
    cr_assert_eq(room[0], 24912);
    cr_assert_eq(room[1], 2375);
    aicp_tokenizer_free(t);
}

Test(tokenizer, unknown_names_and_ids_are_errors) {
    aicp_tokenizer *t = NULL;
    aicp_error err = {0};
    cr_assert_eq(aicp_tokenizer_open("o200k", 5, NULL, &t, &err), AICP_ERR_NOT_FOUND);
    cr_assert_null(t);
    cr_assert_str_eq(err.message, "no encoding named \"o200k\"");
    t = test_tokenizer("cl100k_base");
    uint32_t bad[] = {64, 100256};
    aicp_buf out = AICP_BUF_INIT;
    cr_assert_eq(aicp_tokenizer_decode(t, bad, 2, &out, &err), AICP_ERR_NOT_FOUND);
    cr_assert_eq(aicp_tokenizer_decode(t, bad, 0, &out, &err), AICP_OK);
    cr_assert_eq(out.len, 0);
    aicp_buf_free(&out);
    aicp_tokenizer_free(t);
}

Test(tokenizer, a_truncated_text_fits_and_ends_at_a_character) {
    aicp_tokenizer *t = test_tokenizer("o200k_base");
    const char text[] = "It's   a\n\n test: \xE4\xBA\xBA\xE5\xB7\xA5\xE6\x99\xBA\xE8\x83\xBD "
                        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB DON'T 12345 \xFF!";
    const size_t len = sizeof text - 1;
    int64_t all = count(t, text, len);
    size_t before = 0;
    for (int64_t max = 0; max <= all + 1; max++) {
        size_t bytes = 99;
        int64_t tokens = -1;
        cr_assert_eq(aicp_tokenizer_truncate(t, text, len, max, &bytes, &tokens, NULL), AICP_OK);
        cr_assert_leq(tokens, max);
        cr_assert_eq(count(t, text, bytes), tokens);
        cr_assert_geq(bytes, before);
        cr_assert(bytes == len || ((unsigned char)text[bytes] & 0xC0) != 0x80);
        before = bytes;
    }
    cr_assert_eq(before, len);
    aicp_tokenizer_free(t);
}

Test(tokenizer, counting_and_encoding_use_no_heap) {
    test_heap heap = {0};
    aicp_allocator a = test_allocator(&heap);
    aicp_tokenizer *t = NULL;
    cr_assert_eq(aicp_tokenizer_open("o200k_base", 10, &a, &t, NULL), AICP_OK);
    size_t before = heap.allocations;
    uint32_t room[64];
    aicp_token_ids ids = {room, 64, 0};
    const char text[] = "antidisestablishmentarianism \xFF and 1,234,567 more";
    cr_assert_gt(count(t, text, sizeof text - 1), 5);
    cr_assert_eq(aicp_tokenizer_encode_into(t, text, sizeof text - 1, 0, &ids, NULL), AICP_OK);
    cr_assert_eq(heap.allocations, before);
    cr_assert_eq(aicp_tokenizer_ref(t), t);
    aicp_tokenizer_free(t);
    aicp_tokenizer_free(t);
    aicp_tokenizer_free(NULL);
    cr_assert_eq(heap.live, 0);
}

static void *count_often(void *user) {
    aicp_tokenizer *t = aicp_tokenizer_ref(user);
    int64_t sum = 0;
    for (int i = 0; i < 200; i++) {
        sum += count(t, "antidisestablishmentarianism in 3 words", 39);
    }
    aicp_tokenizer_free(t);
    return (void *)(intptr_t)sum;
}

Test(tokenizer, threads_share_a_handle) {
    aicp_tokenizer *t = test_tokenizer("o200k_base");
    pthread_t threads[4];
    int64_t one = count(t, "antidisestablishmentarianism in 3 words", 39);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, count_often, t), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *sum = NULL;
        cr_assert_eq(pthread_join(threads[i], &sum), 0);
        cr_assert_eq((intptr_t)sum, 200 * one);
    }
    aicp_tokenizer_free(t);
}
