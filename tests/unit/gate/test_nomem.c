/* Every allocation of bundles, checks and answers fails in turn: nothing leaks, what is forbidden
 * is never allowed, what is to be masked never goes out raw, and no money or slot stays taken. */
#include "unit/gate/gate_support.h"

#include <criterion/criterion.h>
#include <string.h>

static bool open_bundle(void *user, const aicp_allocator *a) {
    const gate_folder *folder = user;
    aicp_bundle *bundle = NULL;
    aicp_error err;
    aicp_status status = aicp_bundle_open(folder->path, a, &bundle, &err);
    if (status != AICP_OK) {
        return status == AICP_ERR_NOMEM && bundle == NULL;
    }
    bool ok = strcmp(aicp_bundle_version(bundle), "v1") == 0;
    aicp_bundle_free(bundle);
    return ok;
}

Test(nomem, bundle_opens_whole_or_not_at_all) {
    gate_folder folder = gate_folder_standard();
    cr_assert_gt(test_every_allocation_failing(open_bundle, &folder), 10);
    gate_folder_remove(&folder);
}

typedef struct governed {
    gate_folder folder;
    test_heap heap;
    test_clock time;
    aicp_gate *gate;
} governed;

static void govern(governed *g) {
    *g = (governed){.folder = gate_folder_standard(), .time = {1000000000000, 1795348800000000000}};
    aicp_allocator a = test_allocator(&g->heap);
    aicp_clock clock = test_clock_hook(&g->time);
    aicp_gate_options options = AICP_GATE_OPTIONS_INIT;
    aicp_error err;
    options.bundle_path = g->folder.path;
    options.allocator = &a;
    options.clock = &clock;
    cr_assert_eq(aicp_gate_open(&options, &g->gate, &err), AICP_OK);
}

static void end(governed *g) {
    g->heap.fail_at = 0;
    aicp_gate_free(g->gate);
    cr_assert_eq(g->heap.live, 0, "%zu blocks leaked", g->heap.live);
    gate_folder_remove(&g->folder);
}

static aicp_status
ask(governed *g,
    const char *team,
    const char *body,
    aicp_gate_request **request,
    aicp_gate_decision **out) {
    aicp_error err;
    aicp_status status = aicp_gate_request_new(g->gate, request, &err);
    if (status == AICP_OK) {
        status = aicp_gate_request_set_body(*request, body, strlen(body), &err);
    }
    if (status == AICP_OK) {
        status = aicp_gate_request_set(*request, AICP_GATE_TEAM, team, strlen(team), &err);
    }
    if (status == AICP_OK) {
        status = aicp_gate_request_set(*request, AICP_GATE_KEY, "key-1", 5, &err);
    }
    if (status == AICP_OK) {
        status = aicp_gate_check(g->gate, *request, 2000000000, out, &err);
    }
    return status;
}

Test(nomem, forbidden_model_is_never_allowed) {
    governed g;
    govern(&g);
    for (size_t n = 1;; n++) {
        aicp_gate_request *request = NULL;
        aicp_gate_decision *d = NULL;
        g.heap.failed = false;
        g.heap.fail_at = n;
        aicp_status status = ask(&g, "red", gate_chat("gpt-5", "hello"), &request, &d);
        cr_assert(status == AICP_OK || (status == AICP_ERR_NOMEM && !d), "run %zu: %d", n, status);
        cr_assert(!d || aicp_gate_decision_verdict(d) == AICP_GATE_DENY);
        aicp_gate_decision_free(d);
        aicp_gate_request_free(request);
        if (!g.heap.failed) {
            cr_assert_eq(status, AICP_OK);
            cr_assert_gt(n, 3);
            break;
        }
    }
    end(&g);
}

static bool raw(const char *data, size_t len) {
    return data && memmem(data, len, "maria@example.com", 17) != NULL;
}

Test(nomem, address_is_never_sent_on_and_slots_come_back) {
    governed g;
    const char *answer = "{\"choices\":[{\"message\":{\"content\":\"hi maria@example.com\"}}]}";
    govern(&g);
    for (size_t n = 1;; n++) {
        aicp_gate_request *request = NULL;
        aicp_gate_decision *d = NULL;
        aicp_buf out = AICP_BUF_INIT;
        aicp_usage usage = AICP_USAGE_INIT;
        int32_t verdict = AICP_GATE_DENY;
        size_t len = 0;
        aicp_error err;
        g.heap.failed = false;
        g.heap.fail_at = n;
        test_clock_advance(&g.time, 1000000);
        /* The team has two slots: a slot that a failed run kept would refuse a later one. */
        const char *body = gate_chat("gpt-4o", "write to maria@example.com");
        aicp_status status = ask(&g, "parallel", body, &request, &d);
        cr_assert(status == AICP_OK || (status == AICP_ERR_NOMEM && !d), "run %zu: %d", n, status);
        if (d && aicp_gate_decision_verdict(d) == AICP_GATE_ALLOW) {
            const char *sent = aicp_gate_decision_body(d, &len);
            cr_assert(sent && !raw(sent, len), "run %zu", n);
            status = aicp_gate_output(g.gate, d, answer, strlen(answer), &out, &verdict, &err);
            cr_assert(status == AICP_OK || !raw(out.data, out.len));
            usage.prompt_tokens = 10;
            status = aicp_gate_settle(g.gate, d, &usage, -1, NULL, &err);
            cr_assert(status == AICP_OK || status == AICP_ERR_NOMEM, "run %zu: %d", n, status);
        } else if (d) {
            cr_assert_str_neq(aicp_gate_decision_step(d), "limits", "run %zu", n);
            cr_assert(g.heap.failed, "run %zu", n);
        }
        aicp_buf_free(&out);
        aicp_gate_decision_free(d);
        aicp_gate_request_free(request);
        if (!g.heap.failed) {
            cr_assert_not_null(d);
            cr_assert_gt(n, 3);
            break;
        }
    }
    end(&g);
}
