/* A gate and its server: rules down, slices down, events up. */
#include "unit/gate/fake_server.h"

#include "lib/base/crypto.h"
#include "lib/gate/gate_internal.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static fake_server server;
static gate_folder cache;

static void set_up(void) {
    cache = gate_folder_new();
    fake_start(&server);
}

/* The cache has folders and a link in it. */
static void remove_cache(void) {
    char path[1024];
    DIR *dir = opendir(cache.path);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        gate_folder inner;
        if (entry->d_name[0] != '.') {
            snprintf(inner.path, sizeof inner.path, "%.80s/%.160s", cache.path, entry->d_name);
            if (entry->d_type == DT_DIR) {
                gate_folder_remove(&inner);
            } else {
                unlink(inner.path);
            }
        }
    }
    closedir(dir);
    snprintf(path, sizeof path, "%s", cache.path);
    rmdir(path);
}

static void tear_down(void) {
    fake_stop(&server);
    remove_cache();
}

TestSuite(server, .init = set_up, .fini = tear_down, .timeout = 60);

static aicp_status open_with(aicp_gate_options *o, aicp_gate **out, aicp_error *err) {
    o->bundle_url = server.url;
    o->service_key = o->service_key ? o->service_key : FAKE_KEY;
    o->cache_path = cache.path;
    return aicp_gate_open(o, out, err);
}

static aicp_gate *open_gate(uint32_t flags) {
    aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
    aicp_gate *g = NULL;
    aicp_error err = {0};
    o.flags = flags;
    o.watch_ms = 10;
    cr_assert_eq(open_with(&o, &g, &err), AICP_OK, "%s", err.message);
    return g;
}

static bool runs(aicp_gate *g, const char *version) {
    aicp_buf text = AICP_BUF_INIT;
    cr_assert_eq(aicp_gate_bundle_version(g, &text, NULL), AICP_OK);
    bool same = text.len == strlen(version) && memcmp(text.data, version, text.len) == 0;
    aicp_buf_free(&text);
    return same;
}

static void expect_metrics(aicp_gate *g, const char *part) {
    aicp_buf text = AICP_BUF_INIT;
    cr_assert_eq(aicp_gate_metrics(g, &text, NULL), AICP_OK);
    cr_assert_not_null(
        memmem(text.data, text.len, part, strlen(part)),
        "no %s in %.*s",
        part,
        (int)text.len,
        (const char *)text.data);
    aicp_buf_free(&text);
}

static void let_others_run(void) {
    nanosleep(&(struct timespec){0, 2000000}, NULL);
}

/* The suite's time limit ends a wait for what does not come. */
#define WAIT_UNTIL(condition)                                                                      \
    while (!(condition)) {                                                                         \
        let_others_run();                                                                          \
    }

static void publish(const char *limits, const char *version) {
    pthread_mutex_lock(&server.lock); /* nobody reads half a version */
    gate_write(&server.folder, "limits.json", limits);
    gate_seal(&server.folder, version);
    pthread_mutex_unlock(&server.lock);
    fake_changed(&server);
}

/* ---- rules ---------------------------------------------------------------------------------- */

Test(server, a_gate_runs_the_rules_of_its_server_and_follows_them) {
    aicp_gate *g = open_gate(AICP_GATE_BACKGROUND);
    cr_assert(runs(g, "v1"));
    WAIT_UNTIL(fake_count(&server, &server.waiting) == 1);
    publish("[]", "v2");
    WAIT_UNTIL(runs(g, "v2"));
    WAIT_UNTIL(fake_count(&server, &server.waiting) == 1);
    cr_assert_not_null(strstr(server.last_target, "&version=v2&wait=25"), "%s", server.last_target);
    publish("[ ]", "v3");
    WAIT_UNTIL(runs(g, "v3"));
    aicp_gate_free(g); /* in the middle of a long poll */
}

Test(server, only_what_changed_is_fetched) {
    aicp_gate *g = open_gate(0);
    int32_t changed = -1;
    int first = fake_count(&server, &server.sections);
    cr_assert_eq(first, 6);
    cr_assert_eq(aicp_gate_reload(g, &changed, NULL), AICP_OK);
    cr_assert_eq(changed, 0);
    cr_assert_eq(fake_count(&server, &server.unchanged), 1, "304");
    publish("[]", "v2");
    cr_assert_eq(aicp_gate_reload(g, &changed, NULL), AICP_OK);
    cr_assert_eq(changed, 1);
    cr_assert(runs(g, "v2"));
    cr_assert_eq(fake_count(&server, &server.sections), first + 1);
    aicp_gate_free(g);
}

Test(server, the_disk_copy_is_a_bundle_and_starts_a_gate_without_the_server) {
    char path[512];
    aicp_error err = {0};
    aicp_bundle *bundle = NULL;
    aicp_gate_free(open_gate(0));
    snprintf(path, sizeof path, "%s/current", cache.path);
    cr_assert_eq(aicp_bundle_open(path, NULL, &bundle, &err), AICP_OK, "%s", err.message);
    cr_assert_str_eq(aicp_bundle_version(bundle), "v1");
    aicp_bundle_free(bundle);
    fake_set(&server, FAKE_AWAY);
    publish("[]", "v2");
    aicp_gate *g = open_gate(0);
    cr_assert(runs(g, "v1"));
    cr_assert_neq(aicp_gate_reload(g, NULL, &err), AICP_OK);
    cr_assert(runs(g, "v1"));
    expect_metrics(g, "\"bundle_error\":\"\"");
    fake_set(&server, FAKE_NONE);
    cr_assert_eq(aicp_gate_reload(g, NULL, &err), AICP_OK, "%s", err.message);
    cr_assert(runs(g, "v2"));
    expect_metrics(g, "\"bundle_server\":{\"polls\":3,\"failures\":2,\"error\":\"\"}");
    aicp_gate_free(g);
}

Test(server, a_gate_that_lost_its_server_comes_back_to_it) {
    aicp_gate *g = open_gate(AICP_GATE_BACKGROUND);
    fake_set(&server, FAKE_AWAY);
    publish("[]", "v2");
    int polls = fake_count(&server, &server.polls);
    fake_set(&server, FAKE_NONE);
    WAIT_UNTIL(runs(g, "v2"));
    cr_assert_geq(fake_count(&server, &server.polls), polls);
    aicp_gate_free(g);
}

Test(server, without_server_and_disk_copy_no_gate_opens) {
    aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
    aicp_gate *g = NULL;
    aicp_error err = {0};
    fake_set(&server, FAKE_AWAY);
    cr_assert_neq(open_with(&o, &g, &err), AICP_OK);
    cr_assert_null(g);
    cr_assert_not_null(strstr(err.message, "disk copy"), "%s", err.message);
}

Test(server, a_wrong_service_key_is_told) {
    aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
    aicp_gate *g = NULL;
    aicp_error err = {0};
    o.service_key = "wrong";
    cr_assert_eq(open_with(&o, &g, &err), AICP_ERR_NET_HTTP);
    cr_assert_not_null(strstr(err.message, "401"), "%s", err.message);
    cr_assert_not_null(strstr(err.message, "service key"), "%s", err.message);
    cr_assert_null(strstr(err.message, "wrong"));
}

static void expect_refused(fake_fault fault, aicp_status why, const char *word) {
    aicp_gate *g = open_gate(0);
    aicp_error err = {0};
    publish("[]", "v2");
    fake_set(&server, fault);
    cr_assert_eq(aicp_gate_reload(g, NULL, &err), why, "%s", err.message);
    cr_assert_not_null(strstr(err.message, word), "%s", err.message);
    cr_assert(runs(g, "v1"), "the last good one stays");
    expect_metrics(g, word);
    int fetched = fake_count(&server, &server.sections);
    cr_assert_eq(aicp_gate_reload(g, NULL, &err), why, "and again");
    cr_assert_eq(fake_count(&server, &server.sections), fetched, "without fetching it again");
    cr_assert_eq(fake_count(&server, &server.poll_errors), 1, "the server is told");
    fake_set(&server, FAKE_NONE);
    publish("[ ]", "v3");
    cr_assert_eq(aicp_gate_reload(g, NULL, &err), AICP_OK, "%s", err.message);
    cr_assert(runs(g, "v3"));
    cr_assert_eq(aicp_gate_reload(g, NULL, NULL), AICP_OK);
    cr_assert_eq(fake_count(&server, &server.poll_errors), 2, "only of what is");
    aicp_gate_free(g);
}

Test(server, a_section_with_another_hash_is_refused) {
    expect_refused(FAKE_OTHER_SECTIONS, AICP_ERR_BUNDLE, "limits.json");
}

Test(server, a_section_that_is_larger_than_it_says_is_refused) {
    expect_refused(FAKE_LONG_SECTIONS, AICP_ERR_LIMIT, "larger");
}

Test(server, a_broken_manifest_is_refused) {
    expect_refused(FAKE_BAD_MANIFEST, AICP_ERR_PARSE, "manifest.json");
}

Test(server, rules_that_are_wrong_in_themselves_are_refused_with_their_place) {
    aicp_gate *g = open_gate(0);
    aicp_error err = {0};
    gate_write(&server.folder, "limits.json", "[]");
    gate_seal(&server.folder, "v2");
    char manifest[8192];
    char path[512];
    snprintf(path, sizeof path, "%s/manifest.json", server.folder.path);
    FILE *f = fopen(path, "rb");
    size_t n = fread(manifest, 1, sizeof manifest - 1, f);
    fclose(f);
    manifest[n] = '\0';
    char right[65];
    char wrong[65];
    aicpi_sha256_hex("[]", 2, right);
    aicpi_sha256_hex("{]", 2, wrong);
    char *hash = strstr(manifest, right);
    cr_assert_not_null(hash, "%s", manifest);
    memcpy(hash, wrong, 64);
    gate_write(&server.folder, "limits.json", "{]");
    gate_write(&server.folder, "manifest.json", manifest);
    fake_changed(&server);
    cr_assert_eq(aicp_gate_reload(g, NULL, &err), AICP_ERR_PARSE, "%s", err.message);
    cr_assert_not_null(strstr(err.message, "limits.json"), "%s", err.message);
    cr_assert_eq(err.column, 1);
    cr_assert(runs(g, "v1"));
    cr_assert_eq(unlink(path), 0);
    gate_write(&server.folder, "limits.json", NULL);
    memcpy(hash, right, 64);
    gate_write(&server.folder, "manifest.json", manifest);
    fake_changed(&server);
    cr_assert_eq(aicp_gate_reload(g, NULL, &err), AICP_ERR_NET_HTTP, "a section is missing");
    cr_assert(runs(g, "v1"));
    aicp_gate_free(g);
}

Test(server, a_disk_copy_that_was_changed_is_fetched_again) {
    char path[600];
    aicp_gate *g = open_gate(0);
    snprintf(path, sizeof path, "%s/current/prices.json", cache.path);
    FILE *f = fopen(path, "r+b");
    cr_assert_not_null(f);
    fputc('[', f); /* as long as before */
    fclose(f);
    publish("[]", "v2");
    cr_assert_eq(aicp_gate_reload(g, NULL, NULL), AICP_OK);
    cr_assert(runs(g, "v2"));
    aicp_gate_free(g);
    aicp_bundle *bundle = NULL;
    snprintf(path, sizeof path, "%s/current", cache.path);
    cr_assert_eq(aicp_bundle_open(path, NULL, &bundle, NULL), AICP_OK);
    aicp_bundle_free(bundle);
}

static void *open_and_check(void *user) {
    aicp_gate *g = open_gate(0);
    *(bool *)user = runs(g, "v1");
    aicp_gate_free(g);
    return NULL;
}

Test(server, gates_share_one_cache) {
    pthread_t threads[4];
    bool ok[4] = {false};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, open_and_check, &ok[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        cr_assert(ok[i]);
    }
    int left = 0;
    DIR *dir = opendir(cache.path);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        left += entry->d_name[0] != '.';
    }
    closedir(dir);
    cr_assert_eq(left, 2, "one bundle and the link to it");
}

Test(server, a_gate_opened_before_a_fork_follows_in_the_child) {
    aicp_gate *g = open_gate(AICP_GATE_BACKGROUND);
    WAIT_UNTIL(fake_count(&server, &server.waiting) == 1);
    int turn[2];
    cr_assert_eq(pipe(turn), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        bool ok = aicp_gate_flush(g, NULL) == AICP_OK && read(turn[0], &byte, 1) == 1;
        while (ok && !runs(g, "v2")) {
            let_others_run();
        }
        aicp_gate_free(g);
        _exit(ok ? 0 : 1);
    }
    WAIT_UNTIL(fake_count(&server, &server.waiting) == 2);
    publish("[]", "v2");
    cr_assert_eq(write(turn[1], "x", 1), 1);
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    WAIT_UNTIL(runs(g, "v2"));
    aicp_gate_free(g);
}

Test(server, options_must_make_sense) {
    static const struct {
        const char *path;
        const char *url;
        const char *cache;
        const char *key;
    } cases[] = {
        {"/tmp", "http://127.0.0.1:1", "/tmp/x", NULL},
        {NULL, "http://127.0.0.1:1", NULL, NULL},
        {NULL, "ftp://127.0.0.1:1", "/tmp/aicp-gate-none", NULL},
        {NULL, "http://127.0.0.1:1/?a=b", "/tmp/aicp-gate-none", NULL},
        {NULL, "http://127.0.0.1:1", "/tmp/aicp-gate-none", "two\nlines"},
        {NULL, "http://127.0.0.1:1", "", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
        aicp_gate *g = NULL;
        aicp_error err = {0};
        o.bundle_path = cases[i].path;
        o.bundle_url = cases[i].url;
        o.cache_path = cases[i].cache;
        o.service_key = cases[i].key;
        cr_assert_eq(aicp_gate_open(&o, &g, &err), AICP_ERR_INVALID, "%zu: %s", i, err.message);
    }
    rmdir("/tmp/aicp-gate-none");
}

/* ---- events --------------------------------------------------------------------------------- */

static void make_event(aicp_gate *g) {
    aicp_gate_request *request = NULL;
    aicp_gate_decision *d = NULL;
    const char *body = gate_chat("gpt-4o", "Hello");
    cr_assert_eq(aicp_gate_request_new(g, &request, NULL), AICP_OK);
    cr_assert_eq(aicp_gate_request_set_body(request, body, strlen(body), NULL), AICP_OK);
    cr_assert_eq(aicp_gate_check(g, request, 2000000000, &d, NULL), AICP_OK);
    aicp_gate_decision_free(d);
    aicp_gate_request_free(request);
}

Test(server, events_are_acknowledged_once_and_repeated_after_a_lost_answer) {
    aicp_gate *g = open_gate(0);
    make_event(g);
    cr_assert_eq(aicp_gate_flush(g, NULL), AICP_OK);
    cr_assert_eq(fake_count(&server, &server.accepted), 2, "bundle and decision");
    cr_assert_eq(aicp_gate_flush(g, NULL), AICP_OK);
    cr_assert_eq(fake_count(&server, &server.messages), 1, "nothing new, nothing sent");
    make_event(g);
    fake_set(&server, FAKE_LOST_ANSWER);
    cr_assert_neq(aicp_gate_flush(g, NULL), AICP_OK);
    expect_metrics(g, "\"event_server\":{\"sent\":2,\"failures\":1,\"error\":\"POST");
    fake_set(&server, FAKE_NONE);
    make_event(g);
    cr_assert_eq(aicp_gate_flush(g, NULL), AICP_OK);
    cr_assert_eq(fake_count(&server, &server.accepted), 4);
    cr_assert_geq(fake_count(&server, &server.duplicates), 1);
    expect_metrics(g, "\"event_server\":{\"sent\":4,");
    aicp_gate_free(g);
}

Test(server, what_was_lost_while_the_server_was_away_is_counted) {
    aicp_gate *g = open_gate(0);
    fake_set(&server, FAKE_AWAY);
    for (int i = 0; i < 200; i++) {
        make_event(g);
        if (i == 100) {
            cr_assert_neq(aicp_gate_flush(g, NULL), AICP_OK);
        }
    }
    fake_set(&server, FAKE_NONE);
    cr_assert_eq(aicp_gate_flush(g, NULL), AICP_OK);
    cr_assert_eq(fake_count(&server, &server.accepted), 201, "the bundle and all decisions");
    cr_assert_eq(server.dropped, 0);
    fake_set(&server, FAKE_POISON);
    make_event(g);
    cr_assert_neq(aicp_gate_flush(g, NULL), AICP_OK);
    fake_set(&server, FAKE_NONE);
    make_event(g);
    cr_assert_eq(
        aicp_gate_flush(g, NULL), AICP_OK, "what is never taken does not hold up the rest");
    cr_assert_eq(fake_count(&server, &server.accepted), 202);
    cr_assert_eq(server.dropped, 1);
    aicp_gate_free(g);
}

Test(server, a_thread_sends_events_and_the_end_of_the_gate_the_last_ones) {
    aicp_gate *g = open_gate(AICP_GATE_BACKGROUND);
    make_event(g);
    WAIT_UNTIL(fake_count(&server, &server.accepted) == 2);
    fake_set(&server, FAKE_LOST_ANSWER);
    make_event(g);
    WAIT_UNTIL(fake_count(&server, &server.accepted) == 3);
    fake_set(&server, FAKE_NONE);
    make_event(g);
    aicp_gate_free(g);
    cr_assert_eq(fake_count(&server, &server.accepted), 4);
    cr_assert_geq(fake_count(&server, &server.duplicates), 1);
}

/* ---- slices --------------------------------------------------------------------------------- */

Test(server, gates_share_limits_through_the_server) {
    static const char shared[] =
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":7,\"window\":\"366d\",\"shared\":true,"
        "\"exact\":true},{\"id\":\"c\",\"kind\":\"concurrency\",\"limit\":2,\"shared\":true,"
        "\"exact\":true}]";
    publish(shared, "v2");
    aicp_gate *gates[2];
    for (int i = 0; i < 2; i++) {
        aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
        o.rates_url = server.url;
        cr_assert_eq(open_with(&o, &gates[i], NULL), AICP_OK);
    }
    aicp_gate_request *request = NULL;
    const char *body = gate_chat("gpt-4o", "Hello");
    cr_assert_eq(aicp_gate_request_new(gates[0], &request, NULL), AICP_OK);
    cr_assert_eq(aicp_gate_request_set_body(request, body, strlen(body), NULL), AICP_OK);
    int allowed = 0;
    aicp_gate_decision *held[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(aicp_gate_check(gates[i % 2], request, 3000000000, &held[i], NULL), AICP_OK);
        allowed += aicp_gate_decision_verdict(held[i]) == AICP_GATE_ALLOW;
        cr_assert_eq(fake_count(&server, &server.leases), i + 1, "one message for both rules");
    }
    cr_assert_eq(allowed, 2, "two at the same time in both gates");
    cr_assert_str_eq(aicp_gate_decision_rule(held[2]), "c");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(aicp_gate_settle(gates[i % 2], held[i], NULL, 1, NULL, NULL), AICP_OK);
    }
    for (int i = 0; i < 3; i++) {
        aicp_gate_decision_free(held[i]);
    }
    for (int i = 0; i < 12; i++) {
        aicp_gate *g = gates[i % 2];
        aicp_gate_decision *d = NULL;
        cr_assert_eq(aicp_limiter_flush(gates[0]->limiter, 0, 3000000000, NULL), AICP_OK);
        cr_assert_eq(aicp_limiter_flush(gates[1]->limiter, 0, 3000000000, NULL), AICP_OK);
        cr_assert_eq(aicp_gate_check(g, request, 3000000000, &d, NULL), AICP_OK);
        bool ok = aicp_gate_decision_verdict(d) == AICP_GATE_ALLOW;
        cr_assert(!ok || aicp_gate_settle(g, d, NULL, 1, NULL, NULL) == AICP_OK);
        cr_assert(ok || strcmp(aicp_gate_decision_rule(d), "r") == 0);
        allowed += ok;
        aicp_gate_decision_free(d);
    }
    cr_assert_eq(allowed, 7);
    aicp_gate_request_free(request);
    aicp_gate_free(gates[0]);
    aicp_gate_free(gates[1]);
}

Test(server, a_rule_that_cannot_be_asked_about_follows_its_own_failure_mode) {
    static const char shared[] =
        "[{\"id\":\"r\",\"kind\":\"requests\",\"limit\":7,\"window\":\"1m\",\"shared\":true,"
        "\"on_store_failure\":\"deny\"}]";
    publish(shared, "v2");
    aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
    aicp_gate *g = NULL;
    o.rates_url = server.url;
    cr_assert_eq(open_with(&o, &g, NULL), AICP_OK);
    fake_set(&server, FAKE_AWAY);
    aicp_gate_request *request = NULL;
    aicp_gate_decision *d = NULL;
    const char *body = gate_chat("gpt-4o", "Hello");
    cr_assert_eq(aicp_gate_request_new(g, &request, NULL), AICP_OK);
    cr_assert_eq(aicp_gate_request_set_body(request, body, strlen(body), NULL), AICP_OK);
    cr_assert_eq(aicp_gate_check(g, request, 3000000000, &d, NULL), AICP_OK);
    cr_assert_eq(aicp_gate_decision_http_status(d), 503);
    aicp_gate_decision_free(d);
    aicp_gate_request_free(request);
    fake_set(&server, FAKE_NONE);
    aicp_gate_free(g);
}

/* ---- no memory ------------------------------------------------------------------------------ */

static aicp_status reload_and_send(aicp_gate *g) {
    aicp_status status = aicp_gate_reload(g, NULL, NULL);
    aicp_status sent = aicp_gate_flush(g, NULL);
    return status != AICP_OK ? status : sent;
}

Test(server, every_allocation_may_fail_while_rules_and_events_travel) {
    test_heap heap = {0};
    aicp_allocator a = test_allocator(&heap);
    aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
    aicp_gate *g = NULL;
    aicp_error err = {0};
    o.allocator = &a;
    cr_assert_eq(open_with(&o, &g, &err), AICP_OK, "%s", err.message);
    char version[16] = "v1";
    unsigned made = 1;
    size_t n = 1;
    for (bool done = false; !done; n += 1 + n / 16) { /* the later ones are of many alike */
        char next[16];
        snprintf(next, sizeof next, "v%u", made + 1);
        if (runs(g, version)) {
            publish(made % 2 ? "[]" : "[ ]", next);
            made++;
        }
        heap.failed = false;
        heap.fail_at = n;
        aicp_status status = reload_and_send(g);
        heap.fail_at = 0;
        done = !heap.failed;
        cr_assert(status == AICP_OK || heap.failed, "%d", (int)status);
        snprintf(next, sizeof next, "v%u", made);
        if (runs(g, next)) {
            memcpy(version, next, sizeof version);
        } else {
            cr_assert(runs(g, version), "neither the old version nor the new one");
            cr_assert_eq(aicp_gate_reload(g, NULL, &err), AICP_OK, "%zu: %s", n, err.message);
            cr_assert(runs(g, next));
            memcpy(version, next, sizeof version);
        }
    }
    cr_assert_gt(n, 30);
    aicp_gate_free(g);
    cr_assert_eq(heap.live, 0, "%zu blocks leaked", heap.live);
}
