/* Speed of the guardrail, one thread.
 *
 *     bench_guard [PROSE-FILE]      a text to be scanned instead of the built-in prose
 *
 * Prints JSON lines: prose in MB/s with everything on, then with one scanner alone; a chat text of
 * 2 KB with findings; an answer streamed in pieces of 20 bytes. p99 is over single calls; `allocs`
 * counts heap calls per operation once warm. */
#include "aicp/guardrail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PROSE_SIZE = 256 * 1024, CHAT_SIZE = 2048, ROUNDS = 2000, PROSE_ROUNDS = 24, PIECE = 20 };

static size_t allocations;
static uint64_t samples[ROUNDS];

static void *count_alloc(void *user, size_t size) {
    (void)user;
    allocations++;
    return malloc(size);
}

static void *count_realloc(void *user, void *ptr, size_t old_size, size_t new_size) {
    (void)user;
    (void)old_size;
    allocations++;
    return realloc(ptr, new_size);
}

static void count_free(void *user, void *ptr) {
    (void)user;
    free(ptr);
}

static const aicp_allocator ALLOCATOR = {NULL, count_alloc, count_realloc, count_free};

static const char paragraph[] =
    "The committee met on Tuesday afternoon to go over the plans for the new library, which had "
    "been "
    "put off twice since the spring of 2019 because of the cost. Most of those who spoke were in "
    "favour of the smaller building; they said that the town could always add a second wing later, "
    "once the road had been moved and the old warehouse, built in 1874, was out of the way. \"We "
    "can "
    "argue about colours for another 12 months,\" the chairwoman remarked, \"or we can start "
    "digging.\" "
    "A vote was taken: 7 for, 3 against. The architect will present the final drawings at the next "
    "meeting, together with a list of 14 open questions about heating, light and noise.\n\n";

static const char chat[] =
    "Hi, I am Ada Byron and I need help with my order. You can reach me at ada.byron@example.org "
    "or "
    "under +44 20 7946 0958 after six. I paid with 4111 1111 1111 1111, the refund should go to "
    "DE89 "
    "3704 0044 0532 0130 00. Our build server 192.0.2.17 shows this line:\n"
    "    for (size_t i = 0; i < count; i++) { total += items[i].price * items[i].amount; }\n"
    "Could you explain what it does and draft a short answer to the customer? ";

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void check(aicp_status status, const aicp_error *err) {
    if (status != AICP_OK) {
        (void)fprintf(stderr, "bench_guard: %s\n", err->message);
        exit(1);
    }
}

static int compare_u64(const void *a, const void *b) {
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_line(const char *what, size_t count, size_t bytes) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += samples[i];
    }
    qsort(samples, count, sizeof *samples, compare_u64);
    double ns = (double)sum / (double)count;
    printf(
        "{\"bench\":\"guard/%s\",\"ns\":%.0f,\"p50_ns\":%llu,\"p99_ns\":%llu,\"bytes\":%zu,"
        "\"mb_per_s\":%.1f,\"allocs\":%.2f}\n",
        what,
        ns,
        (unsigned long long)samples[count / 2],
        (unsigned long long)samples[count * 99 / 100],
        bytes,
        (double)bytes / (double)samples[count / 2] * 1000.0,
        (double)allocations / (double)count);
}

static aicp_guard_profile *parse(const char *json) {
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    aicp_guard_profile *profile = NULL;
    aicp_error err;
    options.allocator = &ALLOCATOR;
    check(aicp_guard_profile_parse(json, strlen(json), &options, &profile, &err), &err);
    return profile;
}

static void
measure_scan(const char *what, const char *json, const char *text, size_t len, size_t rounds) {
    aicp_guard_profile *profile = parse(json);
    aicp_guard_options options = AICP_GUARD_OPTIONS_INIT;
    aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
    aicp_guard_result *result = NULL;
    aicp_guard_session *session = NULL;
    aicp_error err;
    options.allocator = &ALLOCATOR;
    check(aicp_guard_result_new(&options, &result, &err), &err);
    check(aicp_guard_session_new(&options, &session, &err), &err);
    how.session = session;
    for (size_t i = 0; i < rounds + 2; i++) {
        if (i == 2) {
            allocations = 0;
        }
        aicp_guard_session_reset(session);
        uint64_t begun = now_ns();
        check(aicp_guard_scan(profile, text, len, &how, result, &err), &err);
        samples[i < 2 ? 0 : i - 2] = now_ns() - begun;
    }
    print_line(what, rounds, len);
    aicp_guard_session_free(session);
    aicp_guard_result_free(result);
    aicp_guard_profile_free(profile);
}

static void measure_stream(const char *what, const char *text, size_t len) {
    aicp_guard_profile *profile = parse("{}");
    aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
    aicp_error err;
    how.direction = AICP_GUARD_OUTPUT;
    for (size_t i = 0; i < ROUNDS; i++) {
        aicp_guard_stream *stream = NULL;
        check(aicp_guard_stream_open(profile, &how, &stream, &err), &err);
        allocations = 0;
        uint64_t begun = now_ns();
        for (size_t k = 0; k < len; k += PIECE) {
            size_t n = len - k < PIECE ? len - k : PIECE;
            check(aicp_guard_stream_feed(stream, text + k, n, &err), &err);
        }
        check(aicp_guard_stream_finish(stream, &err), &err);
        samples[i] = now_ns() - begun;
        aicp_guard_stream_free(stream);
    }
    print_line(what, ROUNDS, len);
    aicp_guard_profile_free(profile);
}

static void measure_parse(void) {
    for (size_t i = 0; i < 20; i++) {
        allocations = 0;
        uint64_t begun = now_ns();
        aicp_guard_profile *profile = parse("{}");
        samples[i] = now_ns() - begun;
        aicp_guard_profile_free(profile);
    }
    print_line("profile_parse", 20, 2);
}

static size_t fill(char *text, size_t size, const char *part) {
    size_t n = strlen(part);
    for (size_t i = 0; i < size; i += n) {
        memcpy(text + i, part, n < size - i ? n : size - i);
    }
    return size;
}

static size_t read_prose(const char *path, char *text) {
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(text, 1, PROSE_SIZE, f) : 0;
    if (!f || n == 0) {
        perror(path);
        exit(1);
    }
    fclose(f);
    return n;
}

#define OFF(name) "\"" name "\":{\"enabled\":false}"

int main(int argc, char **argv) {
    static char prose[PROSE_SIZE];
    static char talk[CHAT_SIZE];
    size_t len = argc > 1 ? read_prose(argv[1], prose) : fill(prose, PROSE_SIZE, paragraph);
    fill(talk, CHAT_SIZE, paragraph);
    memcpy(talk, chat, sizeof chat - 1);

    static const struct {
        const char *what;
        const char *json;
    } alone[] = {
        {"prose/all", "{\"timeout_ms\":10000}"},
        {"prose/none",
         "{" OFF("pii") "," OFF("secrets") "," OFF("prompt_injection") "," OFF(
             "invisible_text") "}"},
        {"prose/pii", "{" OFF("secrets") "," OFF("prompt_injection") "," OFF("invisible_text") "}"},
        {"prose/secrets", "{" OFF("pii") "," OFF("prompt_injection") "," OFF("invisible_text") "}"},
        {"prose/prompt_injection", "{" OFF("secrets") "," OFF("pii") "," OFF("invisible_text") "}"},
        {"prose/invisible_text", "{" OFF("secrets") "," OFF("prompt_injection") "," OFF("pii") "}"},
    };
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++) {
        measure_scan(alone[i].what, alone[i].json, prose, len, PROSE_ROUNDS);
    }
    measure_scan("chat_2k/all", "{}", talk, CHAT_SIZE, ROUNDS);
    measure_scan(
        "chat_2k/anonymize", "{\"pii\":{\"action\":\"anonymize\"}}", talk, CHAT_SIZE, ROUNDS);
    measure_scan("prose_2k/all", "{}", prose, CHAT_SIZE, ROUNDS);
    measure_stream("stream_2k/pieces_of_20", talk, CHAT_SIZE);
    measure_parse();
    return 0;
}
