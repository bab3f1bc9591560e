/* Gates that count shared limits in Redis, whatever their own store is. */
#include "unit/gate/gate_support.h"
#include "unit/rate_store/nodes.h"

static const char LIMITS[] =
    "[{\"id\":\"three\",\"kind\":\"requests\",\"limit\":3,\"window\":\"366d\",\"per\":[\"team\"],"
    "\"shared\":true,\"exact\":true}]";

static aicp_status open_gate(const char *bundle, const char *rates, aicp_gate **out) {
    aicp_gate_options o = AICP_GATE_OPTIONS_INIT;
    o.bundle_path = bundle;
    o.rates_url = rates;
    return aicp_gate_open(&o, out, NULL);
}

/* Leaves the decision open, as freeing it would give the request back. */
static bool passes(aicp_gate *gate, aicp_gate_decision **d) {
    gate_fixture f = {.gate = gate};
    cr_assert_eq(aicp_gate_request_new(gate, &f.request, NULL), AICP_OK);
    *d = gate_ask(&f, "red", gate_chat("gpt-4o", "hello"));
    bool allowed = aicp_gate_decision_verdict(*d) != AICP_GATE_DENY;
    aicp_gate_request_free(f.request);
    return allowed;
}

Test(gate_rates, gates_share_a_limit_through_redis, .timeout = 60) {
    store_place place;
    store_place_open(&place, PLACE_REDIS);
    gate_folder folder = gate_folder_standard();
    gate_write(&folder, "limits.json", LIMITS);
    gate_seal(&folder, "v2");
    aicp_gate *a = NULL;
    aicp_gate *b = NULL;
    cr_assert_eq(open_gate(folder.path, place.url, &a), AICP_OK);
    cr_assert_eq(open_gate(folder.path, place.url, &b), AICP_OK);
    aicp_gate *const ask[5] = {a, b, a, b, a};
    aicp_gate_decision *d[5];
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(passes(ask[i], &d[i]), i < 3, "%d", i);
    }
    for (int i = 0; i < 5; i++) {
        aicp_gate_decision_free(d[i]);
    }
    aicp_gate_free(a);
    aicp_gate_free(b);
    gate_folder_remove(&folder);
    store_place_close(&place);
}

Test(gate_rates, a_wrong_address_is_an_error_of_opening) {
    aicp_gate *g = NULL;
    cr_assert_eq(open_gate(NULL, "rediss://host", &g), AICP_ERR_UNSUPPORTED);
    cr_assert_eq(open_gate(NULL, "redis://", &g), AICP_ERR_INVALID);
    cr_assert_eq(open_gate(NULL, "mongodb://host", &g), AICP_ERR_INVALID);
    cr_assert_null(g);
}
