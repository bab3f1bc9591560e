/* One gate, many threads, rules that change meanwhile. */
#include "unit/gate/gate_support.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define THREADS 8
#define ROUNDS 60

static gate_folder folder;

static void set_up(void) {
    folder = gate_folder_standard();
}

static void tear_down(void) {
    gate_folder_remove(&folder);
}

TestSuite(threads, .init = set_up, .fini = tear_down, .timeout = 300);

typedef struct worker {
    aicp_gate *gate;
    const char *team;
    atomic_int *admitted;
    atomic_int *wrong;
} worker;

static const char text[] =
    "{\"model\":\"gpt-4o\",\"max_tokens\":50,\"messages\":[{\"role\":\"user\","
    "\"content\":\"write to maria@example.com\"}]}";

static bool one_request(worker *w, aicp_gate_request *request) {
    aicp_gate_decision *d = NULL;
    aicp_gate_request_reset(request);
    if (aicp_gate_request_set_body(request, text, strlen(text), NULL) != AICP_OK ||
        aicp_gate_request_set(request, AICP_GATE_TEAM, w->team, strlen(w->team), NULL) != AICP_OK ||
        aicp_gate_check(w->gate, request, UINT64_C(30000000000), &d, NULL) != AICP_OK) {
        return false;
    }
    bool ok = true;
    if (aicp_gate_decision_verdict(d) == AICP_GATE_ALLOW) {
        size_t len = 0;
        atomic_fetch_add(w->admitted, 1);
        ok = strstr(aicp_gate_decision_body(d, &len), "maria@") == NULL;
        ok = ok &&
             aicp_gate_settle(w->gate, d, NULL, aicp_gate_decision_reserved_nano(d), NULL, NULL) ==
                 AICP_OK;
    }
    aicp_gate_decision_free(d);
    return ok;
}

static void *run(void *user) {
    worker *w = user;
    aicp_gate_request *request = NULL;
    bool ok = aicp_gate_request_new(w->gate, &request, NULL) == AICP_OK;
    for (int i = 0; i < ROUNDS && ok; i++) {
        ok = one_request(w, request);
    }
    atomic_fetch_add(w->wrong, !ok);
    aicp_gate_request_free(request);
    return NULL;
}

/* Runs THREADS workers on one gate; `meanwhile` runs in this thread. Gives how many requests were
 * admitted. */
static int run_threads(aicp_gate *gate, const char *team, void (*meanwhile)(aicp_gate *gate)) {
    pthread_t threads[THREADS];
    atomic_int admitted = 0;
    atomic_int wrong = 0;
    worker w = {gate, team, &admitted, &wrong};
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, run, &w), 0);
    }
    if (meanwhile) {
        meanwhile(gate);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(wrong, 0);
    return admitted;
}

static aicp_gate *open_gate(uint32_t flags) {
    aicp_gate_options options = AICP_GATE_OPTIONS_INIT;
    aicp_error err = {0};
    aicp_gate *gate = NULL;
    options.bundle_path = folder.path;
    options.flags = flags;
    options.watch_ms = 5;
    cr_assert_eq(aicp_gate_open(&options, &gate, &err), AICP_OK, "%s", err.message);
    return gate;
}

static void change_rules(aicp_gate *gate) {
    for (int i = 0; i < 20; i++) {
        char version[16];
        aicp_buf metrics = AICP_BUF_INIT;
        snprintf(version, sizeof version, "v%d", i + 2);
        gate_write(&folder, "settings.json", i % 2 ? "{\"min_output_tokens\":8}" : "{}");
        gate_seal(&folder, version);
        (void)!aicp_gate_reload(gate, NULL, NULL); /* the background thread may be first */
        cr_assert_eq(aicp_gate_metrics(gate, &metrics, NULL), AICP_OK);
        aicp_buf_free(&metrics);
    }
}

Test(threads, no_request_fails_while_rules_change) {
    aicp_gate *gate = open_gate(AICP_GATE_BACKGROUND);
    cr_assert_eq(run_threads(gate, "blue", change_rules), THREADS * ROUNDS);
    aicp_gate_free(gate);
}

Test(threads, exactly_as_many_as_the_budget_holds_are_admitted) {
    gate_fixture f = gate_fixture_new();
    aicp_gate_decision *d = gate_ask(&f, "blue", text);
    char accounts[160];
    char money[AICP_MONEY_TEXT_SIZE];
    aicp_money_format(aicp_gate_decision_reserved_nano(d) * 23, money);
    aicp_gate_decision_free(d);
    gate_fixture_free(&f);
    snprintf(
        accounts,
        sizeof accounts,
        "[{\"id\":\"shared\",\"hard\":\"%s\",\"duration\":\"never\"}]",
        money);
    gate_write(&folder, "accounts.json", accounts);
    gate_write(&folder, "settings.json", "{\"patch_max_tokens\":false}");
    gate_seal(&folder, "v2");
    aicp_gate *gate = open_gate(0);
    cr_assert_eq(run_threads(gate, "blue", NULL), 23);
    aicp_gate_free(gate);
}
