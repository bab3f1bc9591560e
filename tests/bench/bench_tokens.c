/* Speed of counting tokens, one thread.
 *
 *     bench_tokens [--json] CORPORA VOCAB ENCODING MIN_SECONDS
 *
 * counts every file of the folder CORPORA and prints one JSON line per file. VOCAB names the folder
 * of vocabulary files for programs that load them; ours are compiled in, the argument is accepted
 * and unused. Without arguments it makes its own corpora of 1 MB and counts them with o200k_base.
 */
#include "aicp/cost.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CORPUS_SIZE = 1000000 };

static double now(clockid_t clock) {
    struct timespec t;
    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int fail(const char *what) {
    (void)fprintf(stderr, "bench_tokens: %s\n", what);
    return 1;
}

/* Best of repeated counts that take at least `seconds` in all, and at least three. */
static int
measure(const aicp_tokenizer *t, const char *corpus, const char *data, size_t len, double seconds) {
    double best_wall = 1e9;
    double best_cpu = 1e9;
    double begun = now(CLOCK_MONOTONIC);
    int64_t tokens = 0;
    aicp_error err = {0};
    for (int i = 0; i < 3 || now(CLOCK_MONOTONIC) - begun < seconds; i++) {
        double wall = now(CLOCK_MONOTONIC);
        double cpu = now(CLOCK_THREAD_CPUTIME_ID);
        if (aicp_tokenizer_count(t, data, len, AICP_SPECIAL_ORDINARY, &tokens, &err) != AICP_OK) {
            return fail(err.message);
        }
        cpu = now(CLOCK_THREAD_CPUTIME_ID) - cpu;
        wall = now(CLOCK_MONOTONIC) - wall;
        best_cpu = cpu < best_cpu ? cpu : best_cpu;
        best_wall = wall < best_wall ? wall : best_wall;
    }
    (void)printf(
        "{\"impl\":\"aicp\",\"enc\":\"%s\",\"op\":\"count\",\"corpus\":\"%s\",\"bytes\":%zu,"
        "\"tokens\":%lld,\"wall_s\":%.9f,\"cpu_s\":%.9f,\"mb_s\":%.1f}\n",
        aicp_tokenizer_name(t),
        corpus,
        len,
        (long long)tokens,
        best_wall,
        best_cpu,
        (double)len / 1e6 / best_cpu);
    return 0;
}

static aicp_tokenizer *load(const char *encoding) {
    double wall = now(CLOCK_MONOTONIC);
    double cpu = now(CLOCK_THREAD_CPUTIME_ID);
    aicp_tokenizer *t = NULL;
    aicp_error err = {0};
    if (aicp_tokenizer_open(encoding, strlen(encoding), NULL, &t, &err) != AICP_OK) {
        (void)fail(err.message);
        return NULL;
    }
    (void)printf(
        "{\"impl\":\"aicp\",\"enc\":\"%s\",\"op\":\"load\",\"wall_s\":%.9f,\"cpu_s\":%.9f}\n",
        encoding,
        now(CLOCK_MONOTONIC) - wall,
        now(CLOCK_THREAD_CPUTIME_ID) - cpu);
    return t;
}

static int measure_file(const aicp_tokenizer *t, const char *folder, const char *name, double s) {
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0) {
        return fail(path);
    }
    long size = ftell(f);
    rewind(f);
    char *data = malloc((size_t)size + 1);
    int bad = data == NULL || fread(data, 1, (size_t)size, f) != (size_t)size;
    (void)fclose(f);
    bad = bad ? fail(path) : measure(t, name, data, (size_t)size, s);
    free(data);
    return bad;
}

static int measure_folder(const aicp_tokenizer *t, const char *folder, double seconds) {
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, NULL, alphasort);
    if (n < 0) {
        return fail("cannot read the folder of corpora");
    }
    int bad = 0;
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            bad |= measure_file(t, folder, entries[i]->d_name, seconds);
        }
        free(entries[i]);
    }
    free(entries);
    return bad;
}

/* ---- own corpora ---- */

static uint64_t state = 88172645463325252U;

static uint64_t random_u64(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Joins words of a list, the early ones more often, until the corpus is full. */
static void fill_words(char *out, const char *const *words, size_t count, const char *gap) {
    size_t n = 0;
    size_t in_sentence = 0;
    while (n < CORPUS_SIZE) {
        size_t i = (size_t)(random_u64() % count);
        size_t j = (size_t)(random_u64() % count);
        const char *word = words[i < j ? i : j];
        for (const char *c = word; *c != '\0' && n < CORPUS_SIZE; c++) {
            out[n++] = *c;
        }
        in_sentence++;
        const char *between = in_sentence % 11 == 0 ? ".\n" : in_sentence % 7 == 0 ? ", " : gap;
        for (const char *c = between; *c != '\0' && n < CORPUS_SIZE; c++) {
            out[n++] = *c;
        }
    }
}

static void fill_random(char *out, const char *alphabet) {
    size_t count = strlen(alphabet);
    for (size_t i = 0; i < CORPUS_SIZE; i++) {
        out[i] = alphabet[random_u64() % count];
    }
}

static const char *const english[] = {
    "the",      "of",          "and",      "to",         "in",        "a",         "is",
    "that",     "for",         "it",       "was",        "on",        "with",      "as",
    "be",       "by",          "request",  "from",       "which",     "or",        "model",
    "have",     "an",          "they",     "This",       "not",       "but",       "were",
    "their",    "one",         "all",      "when",       "can",       "more",      "there",
    "if",       "budget",      "other",    "some",       "than",      "What",      "about",
    "time",     "would",       "these",    "could",      "after",     "system",    "because",
    "question", "information", "between",  "Government", "important", "different", "However",
    "company",  "development", "language", "measured",   "although",  "remember",  "yesterday",
    "mountain", "experience",  "children", "themselves", "published", "tokenizer", "paragraph",
};

static const char *const chinese[] = {
    "的",   "我们", "是",   "在", "不", "了",   "有",   "和",   "人工智能", "这",
    "中国", "大",   "为",   "上", "个", "请求", "国家", "我",   "以",       "要",
    "他",   "时间", "来",   "用", "们", "生产", "到",   "作",   "地",       "于",
    "出",   "就",   "分",   "对", "成", "会",   "可以", "主要", "发展",     "年",
    "动",   "同",   "工作", "也", "能", "下",   "过",   "问题", "费用",     "模型",
};

static int own_corpora(const aicp_tokenizer *t) {
    static char text[CORPUS_SIZE];
    fill_words(text, english, sizeof english / sizeof english[0], " ");
    int bad = measure(t, "english-words", text, CORPUS_SIZE, 0.3);
    fill_words(text, chinese, sizeof chinese / sizeof chinese[0], "");
    bad |= measure(t, "chinese-words", text, CORPUS_SIZE, 0.3);
    fill_random(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    bad |= measure(t, "base64", text, CORPUS_SIZE, 0.3);
    fill_random(text, "abcdefghijklmnopqrstuvwxyz");
    bad |= measure(t, "random-letters", text, CORPUS_SIZE, 0.3);
    fill_random(text, "!#$%&()*+,-./:;<=>?@[]^_`{|}~");
    bad |= measure(t, "random-punctuation", text, CORPUS_SIZE, 0.3);
    fill_random(text, "0123456789");
    bad |= measure(t, "digits", text, CORPUS_SIZE, 0.3);
    memset(text, 'a', CORPUS_SIZE);
    bad |= measure(t, "one-letter", text, CORPUS_SIZE, 0.3);
    memset(text, ' ', CORPUS_SIZE);
    bad |= measure(t, "spaces", text, CORPUS_SIZE, 0.3);
    memset(text, 0xFF, CORPUS_SIZE);
    return bad | measure(t, "not-utf8", text, CORPUS_SIZE, 0.3);
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "--json") == 0) {
        argc--;
        argv++;
    }
    if (argc != 1 && argc != 5) {
        (void)fprintf(
            stderr, "usage: bench_tokens [--json] [CORPORA VOCAB ENCODING MIN_SECONDS]\n");
        return 2;
    }
    aicp_tokenizer *t = load(argc == 5 ? argv[3] : "o200k_base");
    if (t == NULL) {
        return 1;
    }
    int bad = argc == 5 ? measure_folder(t, argv[1], strtod(argv[4], NULL)) : own_corpora(t);
    aicp_tokenizer_free(t);
    return bad;
}
