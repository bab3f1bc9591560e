/* Budgets as the gates enforce them: rules (who may spend how much) and the ledger's accounts that
 * come of them, with what is spent, held and left. */
#include "services/admin-api/list.h"
#include "services/admin-api/rules/limits.h"

#include "lib/base/crypto.h"
#include "lib/base/decimal.h"
#include "lib/base/error.h"
#include "lib/base/text.h"

#include <stdio.h>

#define ACCOUNTS_MAX 10000 /* of one list */
#define HOUR_NS INT64_C(3600000000000)
#define SOFT_MAX 16

static const char *const scopes[] = {
    "global", "user", "team", "model", "user_model", "team_model", "key", NULL};
static const char *const unknown_prices[] = {"deny", "allow", NULL};

/* ---- rules ---- */

static const aicps_field rule_fields[] = {
    {.name = "name",
     .type = AICPS_TEXT,
     .flags = AICPS_REQUIRED | AICPS_UNIQUE | AICPS_FILTER | AICPS_SORT | AICPS_SEARCH,
     .min = 1,
     .max = 200},
    {.name = "description",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_SEARCH,
     .max = 2000},
    {.name = "scope",
     .type = AICPS_ENUM,
     .flags = AICPS_REQUIRED | AICPS_FILTER | AICPS_FACET | AICPS_SORT,
     .values = scopes},
    {.name = "scope_value",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SEARCH,
     .min = 1,
     .max = 256,
     .doc =
         "id of the subject, a final * matches a prefix; null: an account for each subject of the "
         "scope"},
    {.name = "hard_limit",
     .type = AICPS_MONEY,
     .flags = AICPS_NULLABLE | AICPS_FILTER | AICPS_SORT,
     .min = 0,
     .max = AICP_LEDGER_LIMIT_MAX,
     .doc = "dollars of a window that are never exceeded"},
    {.name = "soft_limits",
     .type = AICPS_TEXTS,
     .preset = "[]",
     .min = 0,
     .max = SOFT_MAX,
     .doc = "amounts in dollars that are told of, once a window"},
    {.name = "duration",
     .type = AICPS_TEXT,
     .preset = "\"1mo\"",
     .min = 1,
     .max = 16,
     .doc = "1h, 1d, 7d, 1mo, monthly, never, …"},
    {.name = "timezone", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 64},
    {.name = "on_unknown_price",
     .type = AICPS_ENUM,
     .preset = "\"deny\"",
     .values = unknown_prices},
    {.name = "budget_id",
     .type = AICPS_TEXT,
     .flags = AICPS_NULLABLE | AICPS_FILTER,
     .max = 256,
     .doc = "profile of /budgets that it was made after"},
    {.name = "is_active",
     .type = AICPS_BOOL,
     .flags = AICPS_FILTER | AICPS_FACET,
     .preset = "true"},
};

static void check_window(aicps_change *change) {
    aicp_budget_window_options options = AICP_BUDGET_WINDOW_OPTIONS_INIT;
    aicpi_slice duration = aicps_text(change->after, "duration");
    aicpi_slice zone = aicps_text(change->after, "timezone");
    aicp_budget_window *window = NULL;
    aicp_error err = {0};
    options.timezone = zone.len ? zone.data : NULL;
    options.timezone_len = zone.len;
    aicp_status status =
        aicp_budget_window_parse(duration.data, duration.len, &options, &window, &err);
    if (status != AICP_OK) {
        bool place = status == AICP_ERR_NOT_FOUND;
        aicps_field_error(change->call, place ? "timezone" : "duration", "%s", err.message);
    }
    aicp_budget_window_free(window);
}

static void check_soft(aicps_change *change) {
    struct json_object *list = aicps_member(change->after, "soft_limits");
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count; i++) {
        int64_t nano = 0;
        const char *text = json_object_get_string(json_object_array_get_idx(list, i));
        if (aicpi_decimal_parse(aicpi_slice_cstr(text), 9, &nano, NULL, NULL) != AICP_OK ||
            nano <= 0 || nano > AICP_LEDGER_LIMIT_MAX) {
            aicps_field_error(
                change->call, "soft_limits", "item %zu: an amount above 0 in dollars", i + 1);
        } else if (
            !aicps_is_null(change->after, "hard_limit") &&
            nano > aicps_nano(change->after, "hard_limit")) {
            aicps_field_error(
                change->call, "soft_limits", "item %zu is more than hard_limit", i + 1);
        }
    }
}

static aicp_status check_rule(aicps_change *change, aicp_error *err) {
    if (!change->after) {
        return AICP_OK;
    }
    aicpi_slice values[2];
    const aicpa_scope *scope = aicpa_scope_find(aicps_text(change->after, "scope"));
    aicpi_slice value = aicps_text(change->after, "scope_value");
    if (scope && value.len > 0 && !aicpa_scope_split(scope, value, values)) {
        aicps_field_error(
            change->call,
            "scope_value",
            "must be \"<id>\", or \"<id>:<model>\" for pairs, as the scope says");
    }
    if (aicps_is_null(change->after, "hard_limit") &&
        json_object_array_length(aicps_member(change->after, "soft_limits")) == 0) {
        aicps_field_error(change->call, "hard_limit", "set hard_limit or soft_limits");
    }
    check_window(change);
    check_soft(change);
    return aicps_has_field_errors(change->call) ? aicpi_fail(err, AICP_ERR_INVALID, "field errors")
                                                : AICP_OK;
}

static const aicps_resource rules = {
    .path = "/api/v1/ledger/rules",
    .type = "ledger_rule",
    .title = "Budget rule",
    .table = "admin_account",
    .sort = "name",
    .verbs = AICPS_CRUD,
    .flags = AICPS_RULES,
    .fields = rule_fields,
    .field_count = AICPA_COUNT(rule_fields),
    .check = check_rule,
    .doc = "Who may spend how much; every rule that means a request reserves its worst case.",
};

/* ---- accounts ---- */

#define TOLD(field, kind, more)                                                                    \
    { .name = field, .type = kind, .flags = AICPS_READ_ONLY | AICPS_NULLABLE | (more) }

static const aicps_field account_fields[] = {
    TOLD("rule_id", AICPS_TEXT, AICPS_FILTER),
    TOLD("limit", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    TOLD("spent", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    TOLD("held", AICPS_MONEY, AICPS_SORT),
    TOLD("remaining", AICPS_MONEY, AICPS_SORT | AICPS_FILTER),
    TOLD("window", AICPS_INT, 0),
    TOLD("window_start", AICPS_TIME, 0),
    TOLD("window_end", AICPS_TIME, AICPS_SORT),
    TOLD("frozen", AICPS_BOOL, AICPS_FILTER),
};

static void set_money(struct json_object *o, const char *name, int64_t nano, bool known) {
    char decimal[64];
    snprintf(decimal, sizeof decimal, "%s_decimal", name);
    aicps_set(o, name, known ? aicps_json_nano(nano) : NULL);
    aicps_set(o, decimal, known ? aicpa_decimal_text(nano) : NULL);
}

static struct json_object *account_json(const aicp_ledger_account_row *a) {
    struct json_object *o = json_object_new_object();
    bool limited = a->limit_nano != AICP_LEDGER_UNLIMITED;
    const char *colon = memchr(a->id, ':', a->id_len);
    size_t rule = colon ? (size_t)(colon - a->id) : a->id_len;
    aicps_set(o, "id", json_object_new_string_len(a->id, (int)a->id_len));
    aicps_set(o, "rule_id", json_object_new_string_len(a->id, (int)rule));
    set_money(o, "limit", a->limit_nano, limited);
    set_money(o, "spent", a->spent_nano, true);
    set_money(o, "held", a->held_nano, true);
    set_money(o, "remaining", a->remaining_nano, limited);
    aicps_set(o, "window", json_object_new_int64(a->window));
    bool endless = a->window_end_ns == AICP_BUDGET_FOREVER;
    aicps_set(o, "window_start", endless ? NULL : aicps_json_time(a->window_start_ns));
    aicps_set(o, "window_end", endless ? NULL : aicps_json_time(a->window_end_ns));
    aicps_set(o, "frozen", json_object_new_boolean(a->frozen != 0));
    return o;
}

static aicp_status list(aicps_call *call, struct json_object **rows, aicp_error *err) {
    char after[AICP_LEDGER_ACCOUNT_MAX + 8] = "";
    aicp_status status = AICP_OK;
    bool more = true;
    *rows = json_object_new_array();
    while (status == AICP_OK && more && json_object_array_length(*rows) < ACCOUNTS_MAX) {
        aicp_ledger_query query = AICP_LEDGER_QUERY_INIT;
        aicp_ledger_page *page = NULL;
        query.limit = 1000;
        query.after = after;
        query.after_len = strlen(after);
        status = aicp_ledger_account_list(aicpa_of(call)->ledger, &query, &page, err);
        size_t count = status == AICP_OK ? aicp_ledger_page_count(page) : 0;
        for (size_t i = 0; i < count; i++) {
            const aicp_ledger_account_row *a = aicp_ledger_page_account(page, i);
            json_object_array_add(*rows, account_json(a));
            snprintf(after, sizeof after, "%s", a->id);
        }
        more = count == 1000;
        aicp_ledger_page_free(page);
    }
    if (status != AICP_OK) {
        json_object_put(*rows);
        *rows = NULL;
        aicps_send_status(call, status, err);
    }
    return status;
}

/* The account of exactly that id: the first of those that begin so. */
static aicp_status
get(aicps_call *call, aicpi_slice id, struct json_object **row, aicp_error *err) {
    aicp_ledger_query query = AICP_LEDGER_QUERY_INIT;
    aicp_ledger_page *page = NULL;
    *row = NULL;
    query.limit = 1;
    query.prefix = id.data;
    query.prefix_len = id.len;
    if (id.len > AICP_LEDGER_ACCOUNT_MAX) {
        return AICP_OK;
    }
    aicp_status status = aicp_ledger_account_list(aicpa_of(call)->ledger, &query, &page, err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, err);
        return status;
    }
    const aicp_ledger_account_row *a = aicp_ledger_page_account(page, 0);
    if (a && a->id_len == id.len && memcmp(a->id, id.data, id.len) == 0) {
        *row = account_json(a);
    }
    aicp_ledger_page_free(page);
    return AICP_OK;
}

static const aicps_source source = {list, get, NULL};

static const aicps_resource accounts = {
    .path = "/api/v1/ledger/accounts",
    .type = "ledger_account",
    .title = "Account",
    .name_field = "id",
    .sort = "id",
    .verbs = AICPS_READS,
    .flags = AICPS_NO_TIMES | AICPS_NO_VERSION,
    .fields = account_fields,
    .field_count = AICPA_COUNT(account_fields),
    .source = &source,
    .doc = "The ledger's accounts in their open windows. An id is that of its rule, and of its "
           "subject "
           "where the rule makes one for each.",
};

/* ---- one account ---- */

static void get_use(aicps_call *call) {
    aicpi_slice id = call->params[0];
    int64_t hour = 0;
    aicp_error err = {0};
    struct json_object *row = NULL;
    if (get(call, id, &row, &err) != AICP_OK) {
        return;
    }
    if (!row) {
        aicps_send_error(call, 404, "not_found", "Account not found");
        return;
    }
    int64_t now = aicpa_wall_ns();
    aicp_status status = aicp_ledger_account_spend(
        aicpa_of(call)->ledger, id.data, id.len, now - HOUR_NS, &hour, &err);
    if (status != AICP_OK) {
        json_object_put(row);
        aicps_send_status(call, status, &err);
        return;
    }
    set_money(row, "burn_rate_per_hour", hour, true);
    int64_t left = aicps_nano(row, "remaining");
    bool runs_out = hour > 0 && !aicps_is_null(row, "remaining") && left / hour < 24 * 366;
    aicpi_int128 wait = runs_out ? (aicpi_int128)left * HOUR_NS / hour : 0;
    aicps_set(row, "exhausted_at", runs_out ? aicps_json_time(now + (int64_t)wait) : NULL);
    aicps_send_json(call, 200, row);
}

static struct json_object *reservation_json(const aicp_ledger_reservation_row *r) {
    struct json_object *o = json_object_new_object();
    aicps_set(o, "id", json_object_new_string_len(r->id, (int)r->id_len));
    set_money(o, "amount", r->amount_nano, true);
    aicps_set(o, "reserved_at", aicps_json_time(r->reserved_at_ns));
    aicps_set(o, "deadline", aicps_json_time(r->deadline_ns));
    aicps_set(o, "window", json_object_new_int64(r->window));
    aicps_set(o, "dispatched", json_object_new_boolean(r->dispatched != 0));
    return o;
}

static void get_reservations(aicps_call *call) {
    aicp_ledger_query query = AICP_LEDGER_QUERY_INIT;
    aicp_ledger_page *page = NULL;
    aicp_error err = {0};
    query.limit = 1000;
    aicp_status status = aicp_ledger_reservation_list(
        aicpa_of(call)->ledger, call->params[0].data, call->params[0].len, &query, &page, &err);
    if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
        return;
    }
    struct json_object *rows = json_object_new_array();
    for (size_t i = 0; i < aicp_ledger_page_count(page); i++) {
        json_object_array_add(rows, reservation_json(aicp_ledger_page_reservation(page, i)));
    }
    aicp_ledger_page_free(page);
    aicps_send_json(call, 200, rows);
}

static const aicps_field adjust_fields[] = {
    {.name = "amount",
     .type = AICPS_MONEY,
     .flags = AICPS_REQUIRED,
     .min = -AICP_LEDGER_AMOUNT_MAX,
     .max = AICP_LEDGER_AMOUNT_MAX},
    {.name = "reason", .type = AICPS_TEXT, .flags = AICPS_REQUIRED, .min = 1, .max = 500},
    {.name = "id", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1, .max = 128},
};

/* The ledger has a transaction of its own, so the change stands between an intent and its entry;
 * its id makes a second try harmless. */
static aicp_status
adjust(aicps_call *call, struct json_object *body, const char *id, aicp_error *err) {
    char account[AICP_LEDGER_ACCOUNT_MAX + 8];
    aicpi_slice reason = aicps_text(body, "reason");
    aicpi_slice name = call->params[0];
    int64_t intent = 0;
    if (name.len > AICP_LEDGER_ACCOUNT_MAX) {
        return aicpi_fail(err, AICP_ERR_NOT_FOUND, "Account not found");
    }
    memcpy(account, name.data, name.len);
    account[name.len] = 0;
    aicps_audit_entry entry = {
        .action = "adjust",
        .resource_type = "ledger_account",
        .resource_id = account,
        .after = body,
    };
    aicp_ledger_adjustment a = AICP_LEDGER_ADJUSTMENT_INIT;
    a.id = id;
    a.id_len = strlen(id);
    a.reason = reason.data;
    a.reason_len = reason.len;
    a.amount_nano = aicps_nano(body, "amount");
    aicp_status status = aicps_audit_intend(call, &entry, &intent, err);
    if (status != AICP_OK) {
        return status;
    }
    status = aicp_ledger_adjust(aicpa_of(call)->ledger, name.data, name.len, &a, err);
    entry.outcome = status == AICP_OK ? NULL : "failure";
    aicp_error second = {0};
    aicp_status kept = aicps_audit_conclude(call, intent, &entry, &second);
    return status ? status : kept;
}

static void post_adjust(aicps_call *call) {
    struct json_object *body = aicps_route_body(call);
    if (!body) {
        return;
    }
    char id[132];
    aicpi_slice given = aicps_text(body, "id");
    if (given.len > 0 && given.len < sizeof id) {
        memcpy(id, given.data, given.len);
        id[given.len] = 0;
    } else {
        unsigned char random[16];
        aicpi_random(random, sizeof random);
        aicpi_hex_encode(random, sizeof random, id);
    }
    aicp_error err = {0};
    aicp_status status = adjust(call, body, id, &err);
    json_object_put(body);
    struct json_object *row = NULL;
    if (status == AICP_ERR_NOT_FOUND) {
        aicps_send_error(call, 404, "not_found", "Account not found");
    } else if (status == AICP_ERR_EXISTS_DIFFERENT) {
        aicps_send_error(call, 409, "conflict", "an adjustment of this id has other content");
    } else if (status == AICP_ERR_RANGE || status == AICP_ERR_INVALID) {
        aicps_field_error(call, "amount", "%s", err.message);
        aicps_send_field_errors(call);
    } else if (status != AICP_OK) {
        aicps_send_status(call, status, &err);
    } else if (get(call, call->params[0], &row, &err) == AICP_OK && row) {
        aicps_set(row, "adjustment_id", json_object_new_string(id));
        aicps_send_json(call, 200, row);
    }
}

#define ANY "{\"type\":\"object\"}"

static const aicps_route routes[] = {
    {.method = "GET",
     .pattern = "/api/v1/ledger/accounts/{id}/use",
     .handler = get_use,
     .action = "get",
     .resource_type = "ledger_account",
     .summary = "An account with its burn rate, and when it will be empty at this rate",
     .response_schema = ANY},
    {.method = "GET",
     .pattern = "/api/v1/ledger/accounts/{id}/reservations",
     .handler = get_reservations,
     .action = "get",
     .resource_type = "ledger_account",
     .summary = "Reservations in flight that the store knows",
     .response_schema = "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}"},
    {.method = "POST",
     .pattern = "/api/v1/ledger/accounts/{id}/adjust",
     .handler = post_adjust,
     .action = "adjust",
     .resource_type = "ledger_account",
     .summary = "Correct what was spent, with a reason; negative gives back",
     .response_schema = ANY,
     .body = adjust_fields,
     .body_count = AICPA_COUNT(adjust_fields)},
};

aicp_status aicpa_ledger_register(aicps_api *api, aicp_error *err) {
    aicp_status status = aicps_api_add_resource(api, &rules, err);
    status = status ? status : aicps_api_add_resource(api, &accounts, err);
    return status ? status : aicps_api_add_routes(api, routes, AICPA_COUNT(routes), err);
}
