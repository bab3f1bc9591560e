#include "unit/support.h"

#include "lib/base/arena.h"
#include "lib/base/crypto.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

#include <criterion/criterion.h>
#include <stdio.h>

Test(error, codes_have_names_and_texts) {
    cr_assert_str_eq(aicp_status_name(AICP_ERR_PARSE), "ERR_PARSE");
    cr_assert_str_eq(aicp_status_text(AICP_OK), "success");
    cr_assert_str_eq(aicp_status_name(123456), "ERR_UNKNOWN");
    cr_assert_eq(AICP_ERR_CORRUPT, 9000);
}

Test(error, null_error_is_fine_everywhere) {
    cr_assert_eq(aicpi_fail(NULL, AICP_ERR_IO, "x %d", 1), AICP_ERR_IO);
    cr_assert_eq(aicpi_fail_at(NULL, AICP_ERR_IO, "a", 1, 0, "x"), AICP_ERR_IO);
    cr_assert_eq(aicpi_error_prefix(NULL, AICP_ERR_IO, "x"), AICP_ERR_IO);
    aicp_error_clear(NULL);
}

Test(error, long_message_is_cut_at_a_character) {
    aicp_error err;
    char text[400];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text - 1; i += 3) {
            memcpy(text + i, "\xE2\x82\xAC", 4);
        }
        aicpi_fail(&err, AICP_ERR_IO, "%s", text);
        cr_assert(aicpi_utf8_valid(err.message, strlen(err.message), NULL));
        cr_assert_gt(strlen(err.message), 200);
        aicpi_error_prefix(&err, AICP_ERR_PARSE, "file %s", "x.json");
        cr_assert(aicpi_utf8_valid(err.message, strlen(err.message), NULL));
        cr_assert_eq(strncmp(err.message, "file x.json: ", 13), 0);
        cr_assert_eq(err.code, AICP_ERR_PARSE);
    }
}

Test(error, options_from_an_older_program_are_filled_up_with_zero) {
    struct {
        size_t size;
        int32_t a;
        int32_t b;
    } own, given = {sizeof(size_t) + sizeof(int32_t), 7, 9};
    aicp_error err;
    cr_assert_eq(aicpi_options_copy(&own, sizeof own, &given, "x", &err), AICP_OK);
    cr_assert(own.a == 7 && own.b == 0);
    given.size = 0;
    cr_assert_eq(aicpi_options_copy(&own, sizeof own, &given, "x", &err), AICP_ERR_INVALID);
    cr_assert_eq(aicpi_options_copy(&own, sizeof own, NULL, "x", &err), AICP_OK);
    cr_assert_eq(own.a, 0);
}

Test(arena, blocks_are_aligned_apart_and_reused_after_reset) {
    test_heap heap = {0};
    aicp_allocator a = test_allocator(&heap);
    aicpi_arena arena;
    aicpi_arena_init(&arena, &a, 64, 0);
    size_t warm = 0;
    for (int round = 0; round < 3; round++) {
        char *last = NULL;
        aicpi_arena_reset(&arena);
        for (size_t n = 1; n < 500; n += 13) {
            char *p = aicpi_arena_alloc(&arena, n);
            cr_assert_not_null(p);
            cr_assert_eq((uintptr_t)p % 16, 0);
            cr_assert_neq(p, last);
            memset(p, (int)n, n);
            last = p;
        }
        warm = round == 0 ? heap.allocations : warm;
    }
    cr_assert_eq(heap.allocations, warm);
    aicpi_arena_deinit(&arena);
    cr_assert_eq(heap.live, 0);
}

Test(arena, limit_and_overflow_give_null) {
    aicpi_arena arena;
    aicpi_arena_init(&arena, NULL, 64, 1000);
    cr_assert_null(aicpi_arena_alloc(&arena, 2000));
    cr_assert_null(aicpi_arena_alloc(&arena, SIZE_MAX));
    cr_assert_null(aicpi_arena_calloc(&arena, SIZE_MAX / 2, 3));
    cr_assert_not_null(aicpi_arena_alloc(&arena, 100));
    aicpi_arena_deinit(&arena);
}

typedef struct numbers {
    uint32_t *items;
    size_t capacity;
    size_t count;
} numbers;

static void add_number(aicpi_arena *arena, numbers *n) {
    cr_assert(
        aicpi_arena_grow(arena, (void **)&n->items, &n->capacity, n->count, sizeof *n->items));
    n->items[n->count] = (uint32_t)n->count;
    n->count++;
}

static void expect_numbers(const numbers *n, size_t count) {
    cr_expect_eq(n->count, count);
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(n->items[i], i);
    }
}

Test(arena, an_array_grows_in_place_while_nothing_stands_behind_it) {
    aicpi_arena arena;
    numbers first = {0};
    numbers second = {0};
    aicpi_arena_init(&arena, NULL, 4096, 0);
    add_number(&arena, &first);
    uint32_t *start = first.items;
    for (int i = 0; i < 200; i++) {
        add_number(&arena, &first);
    }
    cr_expect_eq(first.items, start);
    for (int i = 0; i < 2000; i++) { /* now in turns, and past the chunk's end */
        add_number(&arena, &second);
        add_number(&arena, &first);
    }
    expect_numbers(&first, 2201);
    expect_numbers(&second, 2000);
    aicpi_arena_deinit(&arena);
}

Test(alloc, growing_array_refuses_overflow) {
    aicp_allocator a = aicpi_allocator(NULL);
    void *items = NULL;
    size_t capacity = SIZE_MAX / 4;
    cr_assert_not(aicpi_grow(&a, &items, &capacity, capacity, 8));
    cr_assert_null(aicpi_calloc(&a, SIZE_MAX, 2));
}

Test(hash, map_holds_thousands_and_tells_new_from_known) {
    enum { COUNT = 5000 };
    static char keys[COUNT][12];
    aicpi_map map;
    aicpi_map_init(&map, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        bool inserted = false;
        int n = snprintf(keys[i], sizeof keys[i], "%zu", i * 7919);
        aicpi_map_put(&map, keys[i], (size_t)n, &inserted)->value.u64 = i;
        cr_assert(inserted);
        cr_assert_not_null(aicpi_map_put(&map, keys[i], (size_t)n, &inserted));
        cr_assert_not(inserted);
    }
    cr_assert_eq(map.count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_eq(aicpi_map_find(&map, keys[i], strlen(keys[i]))->value.u64, i);
    }
    cr_assert_null(aicpi_map_find(&map, "absent", 6));
    size_t seen = 0;
    size_t pos = 0;
    while (aicpi_map_next(&map, &pos)) {
        seen++;
    }
    cr_assert_eq(seen, COUNT);
    aicpi_map_deinit(&map);
}

Test(crypto, sha256_and_hmac_match_published_vectors) {
    char hex[2 * AICPI_SHA256_SIZE + 1];
    aicpi_sha256_hex("abc", 3, hex); /* FIPS 180-4 */
    cr_assert_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    unsigned char mac[32];
    const char *data = "what do ya want for nothing?"; /* RFC 4231, case 2 */
    aicpi_hmac_sha256((const unsigned char *)"Jefe", 4, data, strlen(data), mac);
    aicpi_hex_encode(mac, sizeof mac, hex);
    cr_assert_str_eq(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

Test(crypto, sealed_bytes_open_with_their_key_only) {
    unsigned char key[AICPI_KEY_SIZE] = {1};
    unsigned char sealed[5 + AICPI_SEAL_OVERHEAD];
    unsigned char opened[5];
    aicpi_seal(key, "hello", 5, sealed);
    cr_assert(aicpi_unseal(key, sealed, sizeof sealed, opened));
    cr_assert_eq(memcmp(opened, "hello", 5), 0);
    cr_assert_not(aicpi_unseal(key, sealed, AICPI_SEAL_OVERHEAD - 1, opened));
    sealed[30] ^= 1;
    cr_assert_not(aicpi_unseal(key, sealed, sizeof sealed, opened));
    sealed[30] ^= 1;
    key[0] = 2;
    cr_assert_not(aicpi_unseal(key, sealed, sizeof sealed, opened));
}

static char logged[64];

static void keep_line(void *user, int32_t level, const char *module, const char *message) {
    (void)user;
    snprintf(logged, sizeof logged, "%d %s %s", level, module, message);
}

Test(log, lines_below_the_level_are_not_written) {
    aicpi_log log = {keep_line, NULL, AICP_LOG_WARN, "test"};
    aicpi_log_write(&log, AICP_LOG_INFO, "quiet");
    cr_assert_str_eq(logged, "");
    aicpi_log_write(&log, AICP_LOG_ERROR, "n=%d", 5);
    cr_assert_str_eq(logged, "3 test n=5");
    aicpi_log_write(NULL, AICP_LOG_ERROR, "nobody listens");
}
