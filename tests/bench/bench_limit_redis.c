/* Limits shared through a real Redis server on the loopback address: what the server manages of our
 * scripts, how long one lease takes, and how often a limiter asks at a steady load. JSON Lines. */
#include "aicp/ratelimit.h"

#include "lib/ratelimit/redis_internal.h"

#include "unit/rate_store/redis_server.c"

#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define PIPELINE 128
#define SCRIPT_CALLS 200000
#define LEASES 20000
#define STEADY_FROM_NS (6 * SECOND)
#define STEADY_TO_NS (26 * SECOND)

static uint64_t clock_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * SECOND + (uint64_t)ts.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "bench_limit_redis: %s\n", what);
    exit(1);
}

/* Processor seconds that the server has used. */
static double cpu_seconds(const redis_server *server) {
    char path[64];
    unsigned long user = 0;
    unsigned long system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)server->pid);
    FILE *f = fopen(path, "r");
    if (!f || fscanf(
                  f,
                  "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                  &user,
                  &system) != 2) {
        die("the server's times cannot be read");
    }
    fclose(f);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the scripts, pipelined over one connection --------------------------------------------- */

static void send_all(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            die("the server does not take what is sent");
        }
        data += n;
        len -= (size_t)n;
    }
}

static void skip(int fd, size_t len) {
    char bytes[65536];
    while (len > 0) {
        ssize_t n = recv(fd, bytes, len < sizeof bytes ? len : sizeof bytes, 0);
        if (n <= 0) {
            die("the server closed the connection");
        }
        if (bytes[0] == '-') {
            die(bytes);
        }
        len -= (size_t)n;
    }
}

#define PRINT_MAX 40

/* At most PRINT_MAX bytes; returns their number. */
__attribute__((format(printf, 2, 3))) static size_t print(char *out, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(out, PRINT_MAX, format, arguments);
    va_end(arguments);
    return (size_t)n;
}

static size_t put(char *out, const void *data, size_t len) {
    size_t n = print(out, "$%zu\r\n", len);
    memcpy(out + n, data, len);
    memcpy(out + n + len, "\r\n", 2);
    return n + len + 2;
}

/* One call over `rules` keys that all pass, each with a slice to be kept or not. */
static size_t make_call(char *out, const char *sha, int rules, double extra) {
    double request[11] = {AICP_LIMIT_GCRA, 1e9, 1e9, 60e6, 1, extra, 0, 0, 0, 1e7};
    char number[PRINT_MAX];
    size_t len = print(out, "*%d\r\n", 4 + 2 * rules);
    len += put(out + len, "EVALSHA", 7);
    len += put(out + len, sha, 40);
    len += put(out + len, number, print(number, "%d", rules));
    for (int i = 0; i < rules; i++) {
        char key[PRINT_MAX];
        len += put(out + len, key, print(key, "aicp:rate:bench%d", i));
    }
    len += put(out + len, "nodenode", 8);
    for (int i = 0; i < rules; i++) {
        len += put(out + len, request, AICPI_REDIS_REQUEST_SIZE);
    }
    return len;
}

static void load_script(int fd, char sha[41]) {
    static char text[16384];
    size_t len = print(text, "*3\r\n");
    len += put(text + len, "SCRIPT", 6);
    len += put(text + len, "LOAD", 4);
    len += put(text + len, aicpi_redis_lease_script, strlen(aicpi_redis_lease_script));
    send_all(fd, text, len);
    char answer[47];
    for (size_t got = 0; got < sizeof answer;) {
        ssize_t n = recv(fd, answer + got, sizeof answer - got, 0);
        if (n <= 0) {
            die("the script cannot be loaded");
        }
        got += (size_t)n;
    }
    memcpy(sha, answer + 5, 40);
    sha[40] = '\0';
}

static void bench_script(const redis_server *server, const char *name, int rules, double extra) {
    static char batch[PIPELINE * 1024];
    char sha[41];
    int fd = connect_to(server->port);
    if (fd < 0) {
        die("no connection");
    }
    load_script(fd, sha);
    size_t len = 0;
    for (int i = 0; i < PIPELINE; i++) {
        len += make_call(batch + len, sha, rules, extra);
    }
    char head[PRINT_MAX];
    size_t answer = (size_t)rules * AICPI_REDIS_GRANT_SIZE;
    answer += print(head, "$%zu\r\n", answer) + 2;
    double cpu = cpu_seconds(server);
    uint64_t start = clock_ns();
    for (int done = 0; done < SCRIPT_CALLS; done += PIPELINE) {
        send_all(fd, batch, len);
        skip(fd, answer * PIPELINE);
    }
    double seconds = (double)(clock_ns() - start) / 1e9;
    cpu = cpu_seconds(server) - cpu;
    close(fd);
    printf(
        "{\"bench\":\"%s\",\"calls_per_s\":%.0f,\"calls_per_cpu_s\":%.0f}\n",
        name,
        SCRIPT_CALLS / seconds,
        SCRIPT_CALLS / cpu);
}

/* ---- leases one after the other ------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static aicp_redis_leases *open_leases(const redis_server *server) {
    aicp_redis_leases *leases = NULL;
    aicp_error err = {0};
    if (aicp_redis_leases_open(server->url, strlen(server->url), NULL, &leases, &err) != AICP_OK) {
        die(err.message);
    }
    return leases;
}

static void bench_lease(const redis_server *server) {
    static double times[LEASES];
    aicp_redis_leases *leases = open_leases(server);
    aicp_lease_source source;
    aicp_redis_leases_source(leases, &source);
    aicp_lease_request q = {
        .size = sizeof q,
        .key = "one",
        .key_len = 3,
        .limit = 1000000000,
        .burst = 1000000000,
        .window_ns = 60 * SECOND,
        .need = 1,
        .ttl_ns = 10 * SECOND,
        .timeout_ns = SECOND};
    for (size_t i = 0; i < LEASES; i++) {
        aicp_lease_grant g = {.size = sizeof g};
        uint64_t start = clock_ns();
        if (source.lease(source.user, &q, &g, NULL) != AICP_OK || g.granted != 1) {
            die("a lease failed");
        }
        times[i] = (double)(clock_ns() - start) / 1000;
    }
    qsort(times, LEASES, sizeof *times, compare);
    printf(
        "{\"bench\":\"redis/lease\",\"us\":%.1f,\"p99_us\":%.1f}\n",
        times[LEASES / 2],
        times[LEASES / 100 * 99]);
    aicp_redis_leases_free(leases);
}

/* ---- calls of the store at a steady load ---------------------------------------------------- */

typedef struct steady {
    uint64_t limit; /* a minute; four fifths of it are asked for, evenly */
    aicp_redis_leases *leases;
    aicp_limiter *limiter;
    aicp_limit_rules *rules;
    uint64_t takes;
    uint64_t denied;
    uint64_t first_takes; /* before the load counts as steady */
    uint64_t first_calls;
} steady;

static void steady_open(steady *x, const redis_server *server) {
    char json[160];
    int n = snprintf(
        json,
        sizeof json,
        "[{\"id\":\"m%llu\",\"kind\":\"requests\",\"limit\":%llu,\"window\":\"1m\","
        "\"shared\":true}]",
        (unsigned long long)x->limit,
        (unsigned long long)x->limit);
    aicp_lease_source source;
    aicp_limiter_options o = AICP_LIMITER_OPTIONS_INIT;
    o.source = &source;
    x->leases = open_leases(server);
    aicp_redis_leases_source(x->leases, &source);
    if (aicp_limiter_new(&o, &x->limiter, NULL) != AICP_OK ||
        aicp_limit_rules_parse(json, (size_t)n, NULL, &x->rules, NULL) != AICP_OK) {
        die("no limiter");
    }
}

static uint64_t store_calls(steady *x) {
    aicp_limiter_stats stats = {.size = sizeof stats};
    return aicp_limiter_stats_get(x->limiter, &stats, NULL) == AICP_OK ? stats.store_calls : 0;
}

static void steady_take(steady *x, uint64_t elapsed) {
    uint64_t due = (uint64_t)((double)x->limit * 0.8 / 60e9 * (double)elapsed);
    for (; x->takes < due; x->takes++) {
        aicp_limit_request q = AICP_LIMIT_REQUEST_INIT;
        q.deadline_ns = clock_ns() + SECOND;
        x->denied += aicp_limiter_take(x->limiter, x->rules, &q, NULL, NULL, NULL) != AICP_OK;
    }
    if (elapsed < STEADY_FROM_NS) {
        x->first_takes = x->takes;
        x->first_calls = store_calls(x);
    }
}

static void bench_steady(const redis_server *server) {
    steady cases[] = {{.limit = 600}, {.limit = 6000}, {.limit = 60000}, {.limit = 600000}};
    enum { CASES = sizeof cases / sizeof *cases };
    for (int i = 0; i < CASES; i++) {
        steady_open(&cases[i], server);
    }
    uint64_t start = clock_ns();
    for (uint64_t elapsed = 0; elapsed < STEADY_TO_NS; elapsed = clock_ns() - start) {
        for (int i = 0; i < CASES; i++) {
            steady_take(&cases[i], elapsed);
        }
        usleep(2000);
    }
    for (int i = 0; i < CASES; i++) {
        steady *x = &cases[i];
        uint64_t takes = x->takes - x->first_takes;
        printf(
            "{\"bench\":\"redis/steady_%llu_a_minute\",\"decisions\":%llu,\"denied\":%llu,"
            "\"calls_per_100\":%.3f}\n",
            (unsigned long long)x->limit,
            (unsigned long long)takes,
            (unsigned long long)x->denied,
            100.0 * (double)(store_calls(x) - x->first_calls) / (double)takes);
        aicp_limiter_free(x->limiter);
        aicp_limit_rules_free(x->rules);
        aicp_redis_leases_free(x->leases);
    }
}

/* Argument: measure only the cases whose name contains it. */
int main(int argc, char **argv) {
    const char *wanted = argc > 1 ? argv[1] : "";
    redis_server server;
    if (!redis_server_start(&server, NULL)) {
        die("redis-server cannot be started");
    }
    if (strstr("redis/script", wanted)) {
        bench_script(&server, "redis/script_1_rule", 1, 0);
        bench_script(&server, "redis/script_4_rules", 4, 0);
        bench_script(&server, "redis/script_4_rules_with_slices", 4, 100);
    }
    if (strstr("redis/lease", wanted)) {
        bench_lease(&server);
    }
    if (strstr("redis/steady", wanted)) {
        bench_steady(&server);
    }
    redis_server_kill(&server);
    return 0;
}
