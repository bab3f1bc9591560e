/* Counters, gauges and histograms. A series is found by a walk over a table of atomic pointers and
 * updated by atomic operations; only the first sight of a series takes a lock. */
#include "services/common/process/process_internal.h"

#include "lib/base/hash.h"
#include "lib/base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define METRICS_MAX 256
#define SCRAPE_MAX 16
#define LABELS_MAX 8
#define LABEL_VALUE_MAX 200
#define BUCKETS_MAX 40

typedef enum kind { COUNTER, GAUGE, HISTOGRAM } kind;

typedef struct series {
    uint64_t hash;
    const char *values[LABELS_MAX];
    _Atomic uint64_t value;   /* bits of a double; the sum of a histogram */
    _Atomic uint64_t *counts; /* of a histogram, one for each bucket and one for the rest */
} series;

struct aicps_metric {
    kind kind;
    const char *name;
    const char *help;
    const char *labels[LABELS_MAX];
    size_t label_count;
    const double *buckets;
    size_t bucket_count;
    aicps_registry *registry;
    series *_Atomic *slots; /* open addressing */
    size_t mask;
    size_t count; /* under the registry's mutex */
    series *other;
};

typedef struct scrape_hook {
    void (*fn)(void *user);
    void *user;
} scrape_hook;

struct aicps_registry {
    pthread_mutex_t mutex;
    aicpi_arena arena; /* of everything: metrics live as long as the process */
    uint64_t seed;
    aicps_metric *metrics[METRICS_MAX];
    size_t count;
    scrape_hook hooks[SCRAPE_MAX];
    size_t hook_count;
};

static const double seconds[] = {
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10};

aicps_registry *aicps_registry_new(void) {
    aicps_registry *r = aicpi_calloc(AICPS_HEAP, 1, sizeof *r);
    if (r) {
        (void)pthread_mutex_init(&r->mutex, NULL);
        aicpi_arena_init(&r->arena, NULL, 16384, (size_t)64 << 20);
        r->seed = aicpi_hash_seed();
    }
    return r;
}

void aicps_registry_free(aicps_registry *r) {
    if (r) {
        aicpi_arena_deinit(&r->arena);
        (void)pthread_mutex_destroy(&r->mutex);
        aicpi_free(AICPS_HEAP, r);
    }
}

static bool split_labels(aicps_metric *m, aicpi_arena *arena, const char *labels) {
    while (labels && *labels) {
        size_t len = strcspn(labels, ",");
        char *name = m->label_count < LABELS_MAX ? aicpi_arena_strndup(arena, labels, len) : NULL;
        if (!name) {
            return false;
        }
        m->labels[m->label_count++] = name;
        labels += labels[len] == ',' ? len + 1 : len;
    }
    return true;
}

static series *add_series(aicps_metric *m, const char *const *values, uint64_t hash);

static bool fill(aicps_metric *m, aicpi_arena *arena, const char *labels) {
    static const char *const other[LABELS_MAX] = {
        "other", "other", "other", "other", "other", "other", "other", "other"};
    if (!split_labels(m, arena, labels)) {
        return false;
    }
    /* At most half full, so that walks end soon. */
    m->mask = m->label_count > 0 ? 2 * 1024 - 1 : 0;
    m->slots = aicpi_arena_calloc(arena, m->mask + 1, sizeof *m->slots);
    /* Made now, so that it is there when memory or room is short. */
    m->other = m->slots ? add_series(m, other, 0) : NULL;
    if (m->other && m->label_count == 0) {
        atomic_store(&m->slots[0], m->other);
    }
    return m->other != NULL;
}

static aicps_metric *add_metric(aicps_process *p, const aicps_metric *given, const char *labels) {
    aicps_registry *r = p ? p->registry : NULL;
    if (!r) {
        return NULL;
    }
    (void)pthread_mutex_lock(&r->mutex);
    aicps_metric *m = NULL;
    for (size_t i = 0; i < r->count && !m; i++) {
        if (strcmp(r->metrics[i]->name, given->name) == 0) {
            m = r->metrics[i];
        }
    }
    if (!m && r->count < METRICS_MAX) {
        m = aicpi_arena_calloc(&r->arena, 1, sizeof *m);
        if (m) {
            *m = *given;
            m->registry = r;
            m = fill(m, &r->arena, labels) ? m : NULL;
        }
        if (m) {
            r->metrics[r->count++] = m;
        }
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return m;
}

aicps_metric *
aicps_counter(aicps_process *p, const char *name, const char *labels, const char *help) {
    aicps_metric m = {.kind = COUNTER, .name = name, .help = help};
    return add_metric(p, &m, labels);
}

aicps_metric *
aicps_gauge(aicps_process *p, const char *name, const char *labels, const char *help) {
    aicps_metric m = {.kind = GAUGE, .name = name, .help = help};
    return add_metric(p, &m, labels);
}

aicps_metric *aicps_histogram(
    aicps_process *p,
    const char *name,
    const char *labels,
    const char *help,
    const double *buckets,
    size_t bucket_count) {
    aicps_metric m = {.kind = HISTOGRAM, .name = name, .help = help, .buckets = seconds};
    m.bucket_count = sizeof seconds / sizeof *seconds;
    if (buckets) {
        m.buckets = buckets;
        m.bucket_count = bucket_count < BUCKETS_MAX ? bucket_count : BUCKETS_MAX;
    }
    return add_metric(p, &m, labels);
}

/* ---- series ---- */

static const char *value_of(const char *const *values, size_t i) {
    const char *value = values && values[i] ? values[i] : "";
    return strnlen(value, LABEL_VALUE_MAX + 1) > LABEL_VALUE_MAX ? "other" : value;
}

static uint64_t hash_of(const aicps_metric *m, const char *const *values) {
    uint64_t hash = m->registry->seed;
    for (size_t i = 0; i < m->label_count; i++) {
        const char *value = value_of(values, i);
        hash = aicpi_hash(hash, value, strlen(value));
    }
    return hash;
}

/* Backslash, quote and newline are escaped; what is not UTF-8 becomes U+FFFD. */
static void put_escaped(aicpi_strbuf *b, const char *text, bool quotes) {
    size_t len = strlen(text);
    for (size_t i = 0; i < len;) {
        uint32_t scalar = 0;
        size_t n = aicpi_utf8_decode(text + i, len - i, &scalar);
        if (n == 0) {
            aicpi_strbuf_puts(b, "\xEF\xBF\xBD");
            i += aicpi_utf8_invalid(text + i, len - i);
            continue;
        }
        if (text[i] == '\\' || (quotes && text[i] == '"')) {
            aicpi_strbuf_putc(b, '\\');
            aicpi_strbuf_putc(b, text[i]);
        } else if (text[i] == '\n') {
            aicpi_strbuf_puts(b, "\\n");
        } else {
            aicpi_strbuf_append(b, text + i, n);
        }
        i += n;
    }
}

static bool is_same(const aicps_metric *m, const series *s, const char *const *values) {
    for (size_t i = 0; i < m->label_count; i++) {
        if (strcmp(s->values[i], value_of(values, i)) != 0) {
            return false;
        }
    }
    return true;
}

static series *add_series(aicps_metric *m, const char *const *values, uint64_t hash) {
    aicpi_arena *arena = &m->registry->arena;
    series *s = aicpi_arena_calloc(arena, 1, sizeof *s);
    if (!s) {
        return NULL;
    }
    s->hash = hash;
    for (size_t i = 0; i < m->label_count; i++) {
        const char *value = value_of(values, i);
        s->values[i] = aicpi_arena_strndup(arena, value, strlen(value));
        if (!s->values[i]) {
            return NULL;
        }
    }
    if (m->kind == HISTOGRAM) {
        s->counts = aicpi_arena_calloc(arena, m->bucket_count + 1, sizeof *s->counts);
        if (!s->counts) {
            return NULL;
        }
    }
    return s;
}

/* The series, or the first empty slot of its walk. */
static series *walk(const aicps_metric *m, const char *const *values, uint64_t hash, size_t *slot) {
    for (size_t i = (size_t)hash & m->mask;; i = (i + 1) & m->mask) {
        series *s = atomic_load_explicit(&m->slots[i], memory_order_acquire);
        if (!s || (s->hash == hash && is_same(m, s, values))) {
            *slot = i;
            return s;
        }
    }
}

static series *find_series(aicps_metric *m, const char *const *values) {
    if (m->label_count == 0) {
        return m->other;
    }
    uint64_t hash = hash_of(m, values);
    size_t slot = 0;
    series *s = walk(m, values, hash, &slot);
    if (s) {
        return s;
    }
    (void)pthread_mutex_lock(&m->registry->mutex);
    s = walk(m, values, hash, &slot);
    if (!s && m->count < AICPS_METRIC_SERIES_MAX) {
        s = add_series(m, values, hash);
        if (s) {
            m->count++;
            atomic_store_explicit(&m->slots[slot], s, memory_order_release);
        }
    }
    (void)pthread_mutex_unlock(&m->registry->mutex);
    return s ? s : m->other;
}

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t as_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void add_to(_Atomic uint64_t *at, double amount) {
    uint64_t before = atomic_load_explicit(at, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(
        at,
        &before,
        as_bits(as_double(before) + amount),
        memory_order_relaxed,
        memory_order_relaxed)) {
    }
}

void aicps_metric_add(aicps_metric *m, const char *const *values, double amount) {
    if (!m || m->kind == HISTOGRAM || (m->kind == COUNTER && !(amount >= 0))) {
        return;
    }
    add_to(&find_series(m, values)->value, amount);
}

void aicps_metric_set(aicps_metric *m, const char *const *values, double value) {
    if (m && m->kind != HISTOGRAM) {
        atomic_store_explicit(&find_series(m, values)->value, as_bits(value), memory_order_relaxed);
    }
}

void aicps_metric_observe(aicps_metric *m, const char *const *values, double value) {
    if (!m || m->kind != HISTOGRAM || isnan(value)) {
        return;
    }
    series *s = find_series(m, values);
    size_t i = 0;
    while (i < m->bucket_count && value > m->buckets[i]) {
        i++;
    }
    add_to(&s->value, value);
    atomic_fetch_add_explicit(&s->counts[i], 1, memory_order_relaxed);
}

/* ---- text ---- */

void aicps_metrics_on_scrape(aicps_process *p, void (*fn)(void *user), void *user) {
    aicps_registry *r = p ? p->registry : NULL;
    if (r && r->hook_count < SCRAPE_MAX) {
        r->hooks[r->hook_count++] = (scrape_hook){fn, user};
    }
}

/* The shortest decimal text that reads back as the same number. */
static void put_number(aicpi_strbuf *b, double value) {
    if (isnan(value) || isinf(value)) {
        aicpi_strbuf_puts(b, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    aicpi_strbuf_puts(b, text);
}

/* name_suffix{labels,le="x"} and a blank. */
static void put_head(
    aicpi_strbuf *b, const aicps_metric *m, const series *s, const char *suffix, const double *le) {
    aicpi_strbuf_printf(b, "%s%s", m->name, suffix);
    if (m->label_count > 0 || le) {
        aicpi_strbuf_putc(b, '{');
        for (size_t i = 0; i < m->label_count; i++) {
            aicpi_strbuf_printf(b, "%s%s=\"", i > 0 ? "," : "", m->labels[i]);
            put_escaped(b, s->values[i], true);
            aicpi_strbuf_putc(b, '"');
        }
        if (le) {
            aicpi_strbuf_printf(b, "%sle=\"", m->label_count > 0 ? "," : "");
            put_number(b, *le);
            aicpi_strbuf_putc(b, '"');
        }
        aicpi_strbuf_putc(b, '}');
    }
    aicpi_strbuf_putc(b, ' ');
}

static void put_series(aicpi_strbuf *b, const aicps_metric *m, const series *s) {
    double value = as_double(atomic_load_explicit(&s->value, memory_order_relaxed));
    if (m->kind != HISTOGRAM) {
        put_head(b, m, s, "", NULL);
        put_number(b, value);
        aicpi_strbuf_putc(b, '\n');
        return;
    }
    uint64_t total = 0;
    double le = 0;
    for (size_t i = 0; i <= m->bucket_count; i++) {
        total += atomic_load_explicit(&s->counts[i], memory_order_relaxed);
        le = i < m->bucket_count ? m->buckets[i] : (double)INFINITY;
        put_head(b, m, s, "_bucket", &le);
        aicpi_strbuf_printf(b, "%llu\n", (unsigned long long)total);
    }
    put_head(b, m, s, "_sum", NULL);
    put_number(b, value);
    aicpi_strbuf_putc(b, '\n');
    put_head(b, m, s, "_count", NULL);
    aicpi_strbuf_printf(b, "%llu\n", (unsigned long long)total);
}

static bool was_used(const aicps_metric *m, const series *s) {
    if (atomic_load_explicit(&s->value, memory_order_relaxed) != 0) {
        return true;
    }
    for (size_t i = 0; m->kind == HISTOGRAM && i <= m->bucket_count; i++) {
        if (atomic_load_explicit(&s->counts[i], memory_order_relaxed) != 0) {
            return true;
        }
    }
    return false;
}

static void put_metric(aicpi_strbuf *b, const aicps_metric *m) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    aicpi_strbuf_printf(b, "# HELP %s ", m->name);
    put_escaped(b, m->help ? m->help : "", false);
    aicpi_strbuf_printf(b, "\n# TYPE %s %s\n", m->name, kinds[m->kind]);
    for (size_t i = 0; i <= m->mask; i++) {
        const series *s = atomic_load_explicit(&m->slots[i], memory_order_acquire);
        if (s) {
            put_series(b, m, s);
        }
    }
    if (m->label_count > 0 && was_used(m, m->other)) {
        put_series(b, m, m->other);
    }
}

aicp_status aicps_metrics_text(aicps_process *p, aicpi_strbuf *out) {
    aicps_registry *r = p->registry;
    for (size_t i = 0; i < r->hook_count; i++) {
        r->hooks[i].fn(r->hooks[i].user);
    }
    (void)pthread_mutex_lock(&r->mutex);
    size_t count = r->count;
    (void)pthread_mutex_unlock(&r->mutex);
    for (size_t i = 0; i < count; i++) {
        put_metric(out, r->metrics[i]);
    }
    return out->failed ? AICP_ERR_NOMEM : AICP_OK;
}
