/* Metrics: https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "services/common/process/process_internal.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static aicps_process *process;
static aicpi_strbuf text;

static void begin(void) {
    cr_assert_eq(aicps_process_new("testing", &process, NULL), AICP_OK);
    aicpi_strbuf_init(&text, NULL, 1 << 22);
}

static const char *scrape(void) {
    aicpi_strbuf_clear(&text);
    cr_assert_eq(aicps_metrics_text(process, &text), AICP_OK);
    return text.data;
}

/* The part of the text that starts at the HELP line of a metric and ends before the next. */
static const char *part(const char *name) {
    static char out[40000];
    char start[100];
    snprintf(start, sizeof start, "# HELP %s ", name);
    const char *from = strstr(scrape(), start);
    cr_assert(from, "no %s in\n%s", name, text.data);
    const char *to = strstr(from + 1, "# HELP ");
    size_t len = to ? (size_t)(to - from) : strlen(from);
    snprintf(out, sizeof out, "%.*s", (int)len, from);
    return out;
}

static void end(void) {
    aicpi_strbuf_deinit(&text);
    aicps_process_free(process);
}

Test(metrics, counter_without_labels) {
    begin();
    aicps_metric *m = aicps_counter(process, "x_total", NULL, "All x.");
    cr_assert_str_eq(part("x_total"), "# HELP x_total All x.\n# TYPE x_total counter\nx_total 0\n");
    aicps_metric_add(m, NULL, 1);
    aicps_metric_add(m, NULL, 0.5);
    aicps_metric_add(m, NULL, -3); /* counters do not fall */
    cr_assert_str_eq(
        part("x_total"), "# HELP x_total All x.\n# TYPE x_total counter\nx_total 1.5\n");
    end();
}

Test(metrics, labels_and_help_are_escaped) {
    begin();
    aicps_metric *m = aicps_gauge(process, "g", "a,b", "Back\\slash\nand \"quote\"");
    aicps_metric_set(m, (const char *[]){"q\"\\\n", "\xff"}, -2);
    cr_assert_str_eq(
        part("g"),
        "# HELP g Back\\\\slash\\nand \"quote\"\n# TYPE g gauge\n"
        "g{a=\"q\\\"\\\\\\n\",b=\"\xEF\xBF\xBD\"} -2\n");
    end();
}

Test(metrics, histogram_has_cumulative_buckets_sum_and_count) {
    static const double buckets[] = {0.1, 1, 10};
    begin();
    aicps_metric *m = aicps_histogram(process, "h_seconds", "r", "H.", buckets, 3);
    const char *values[] = {"/x"};
    aicps_metric_observe(m, values, 0.1);
    aicps_metric_observe(m, values, 0.5);
    aicps_metric_observe(m, values, 100);
    aicps_metric_observe(m, values, NAN);
    cr_assert_str_eq(
        part("h_seconds"),
        "# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
        "h_seconds_bucket{r=\"/x\",le=\"0.1\"} 1\n"
        "h_seconds_bucket{r=\"/x\",le=\"1\"} 2\n"
        "h_seconds_bucket{r=\"/x\",le=\"10\"} 2\n"
        "h_seconds_bucket{r=\"/x\",le=\"+Inf\"} 3\n"
        "h_seconds_sum{r=\"/x\"} 100.6\n"
        "h_seconds_count{r=\"/x\"} 3\n");
    end();
}

Test(metrics, numbers_read_back_as_they_were) {
    static const double numbers[] = {0.1, 1.0 / 3, 1e21, 123456789012.5, 9007199254740993.0, -0.0};
    begin();
    aicps_metric *m = aicps_gauge(process, "n", NULL, "N");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        aicps_metric_set(m, NULL, numbers[i]);
        const char *at = strstr(part("n"), "\nn ");
        cr_assert_eq(strtod(at + 3, NULL), numbers[i]);
    }
    aicps_metric_set(m, NULL, INFINITY);
    cr_assert(strstr(part("n"), "\nn +Inf\n"));
    aicps_metric_set(m, NULL, -INFINITY);
    cr_assert(strstr(part("n"), "\nn -Inf\n"));
    aicps_metric_set(m, NULL, NAN);
    cr_assert(strstr(part("n"), "\nn NaN\n"));
    end();
}

Test(metrics, series_are_bounded_and_the_rest_is_other) {
    begin();
    aicps_metric *m = aicps_counter(process, "many_total", "id", "Many.");
    for (int i = 0; i < 1500; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        aicps_metric_add(m, (const char *[]){id}, 1);
    }
    const char *out = part("many_total");
    size_t lines = 0;
    for (const char *p = out; (p = strchr(p, '\n')); p++) {
        lines++;
    }
    cr_assert_eq(lines, 2 + 1000 + 1);
    cr_assert(strstr(out, "many_total{id=\"other\"} 500\n"));
    cr_assert(strstr(out, "many_total{id=\"999\"} 1\n"));
    end();
}

Test(metrics, the_same_name_is_the_same_metric) {
    begin();
    cr_assert_eq(aicps_counter(process, "a", NULL, "A"), aicps_counter(process, "a", NULL, "A"));
    end();
}

typedef struct work {
    aicps_metric *counter;
    aicps_metric *histogram;
} work;

static void *update(void *user) {
    const work *w = user;
    for (int i = 0; i < 2000; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i % 100);
        aicps_metric_add(w->counter, (const char *[]){id}, 1);
        aicps_metric_observe(w->histogram, NULL, 0.5);
    }
    return NULL;
}

Test(metrics, updates_of_many_threads_are_all_counted) {
    begin();
    work w = {
        aicps_counter(process, "c_total", "id", "C"),
        aicps_histogram(process, "h", NULL, "H", NULL, 0)};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, update, &w), 0);
    }
    for (int i = 0; i < 4; i++) {
        scrape();
        pthread_join(threads[i], NULL);
    }
    const char *out = part("c_total");
    double total = 0;
    size_t series = 0;
    for (const char *p = out; (p = strstr(p, "\"} ")); p += 3) {
        total += strtod(p + 3, NULL);
        series++;
    }
    cr_assert_eq(series, 100);
    cr_assert_eq(total, 8000);
    cr_assert(strstr(part("h"), "h_sum 4000\nh_count 8000\n"));
    end();
}

static void set_gauge(void *user) {
    aicps_metric_set(user, NULL, 42);
}

Test(metrics, hooks_run_before_a_scrape) {
    begin();
    aicps_metric *m = aicps_gauge(process, "late", NULL, "Late.");
    aicps_metrics_on_scrape(process, set_gauge, m);
    cr_assert(strstr(part("late"), "late 42\n"));
    end();
}

Test(metrics, process_and_build_are_told) {
    begin();
    const char *out = scrape();
    char build[100];
    snprintf(
        build, sizeof build, "build_info{service=\"testing\",version=\"%s\"} 1\n", aicp_version());
    cr_assert(strstr(out, build));
    cr_assert(strstr(out, "# TYPE process_cpu_seconds_total counter\n"));
    const char *rss = strstr(out, "\nprocess_resident_memory_bytes ");
    cr_assert_gt(strtod(rss + strlen("\nprocess_resident_memory_bytes "), NULL), 100000);
    const char *fds = strstr(out, "\nprocess_open_fds ");
    cr_assert_gt(strtod(fds + strlen("\nprocess_open_fds "), NULL), 2);
    end();
}
