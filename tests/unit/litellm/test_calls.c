#include "unit/litellm/fixture.h"
#include "unit/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* ---- what each call asks for ---------------------------------------------------------------- */

typedef aicp_status (*bare_fn)(aicp_litellm *client, aicp_litellm_reply *reply, aicp_error *err);
typedef aicp_status (*text_fn)(
    aicp_litellm *client, const char *data, size_t len, aicp_litellm_reply *reply, aicp_error *err);

typedef struct asked {
    bare_fn bare;
    text_fn text;
    const char *data;
    const char *wanted; /* of mirror() */
} asked;

#define BARE(name, target)                                                                         \
    { aicp_litellm_##name, NULL, NULL, "[\"GET " target "\",null]" }
#define READ(name, data, target)                                                                   \
    { NULL, aicp_litellm_##name, data, "[\"GET " target "\",null]" }
#define POST(name, target)                                                                         \
    { NULL, aicp_litellm_##name, "{\"a\":1}", "[\"POST " target "\",{\"a\":1}]" }
#define ITEM(name, target, body)                                                                   \
    { NULL, aicp_litellm_##name, "i\"1", "[\"POST " target "\"," body "]" }
#define DAYS "{\"start_date\":\"2026-11-01\",\"limit\":3}"
#define DAYS_QUERY "?start_date=2026-11-01&limit=3"

static const asked ASKED[] = {
    BARE(health, "/health/readiness"),
    BARE(health_details, "/health/readiness/details"),
    BARE(liveness, "/health/liveliness"),
    BARE(backlog, "/health/backlog"),
    BARE(model_health, "/health"),
    BARE(model_health_latest, "/health/latest"),
    BARE(models, "/v1/models"),
    BARE(model_info, "/model/info"),
    READ(model_get, "a/b", "/model/info?litellm_model_id=a%2Fb"),
    BARE(model_groups, "/model_group/info"),
    POST(model_new, "/model/new"),
    POST(model_update, "/model/update"),
    ITEM(model_delete, "/model/delete", "{\"id\":\"i\\\"1\"}"),
    ITEM(model_block, "/model/block", "{\"model_id\":\"i\\\"1\"}"),
    ITEM(model_unblock, "/model/unblock", "{\"model_id\":\"i\\\"1\"}"),
    POST(key_generate, "/key/generate"),
    READ(key_info, "0123", "/key/info?key=0123"),
    POST(key_update, "/key/update"),
    ITEM(key_delete, "/key/delete", "{\"keys\":[\"i\\\"1\"]}"),
    POST(key_delete_many, "/key/delete"),
    ITEM(key_block, "/key/block", "{\"key\":\"i\\\"1\"}"),
    ITEM(key_unblock, "/key/unblock", "{\"key\":\"i\\\"1\"}"),
    POST(team_new, "/team/new"),
    READ(team_info, "a b&c", "/team/info?team_id=a%20b%26c"),
    BARE(team_list, "/team/list"),
    POST(team_update, "/team/update"),
    ITEM(team_delete, "/team/delete", "{\"team_ids\":[\"i\\\"1\"]}"),
    POST(team_delete_many, "/team/delete"),
    ITEM(team_block, "/team/block", "{\"team_id\":\"i\\\"1\"}"),
    ITEM(team_unblock, "/team/unblock", "{\"team_id\":\"i\\\"1\"}"),
    POST(team_member_add, "/team/member_add"),
    POST(team_member_update, "/team/member_update"),
    POST(team_member_delete, "/team/member_delete"),
    POST(team_model_add, "/team/model/add"),
    POST(team_model_delete, "/team/model/delete"),
    POST(user_new, "/user/new"),
    READ(user_info, "u", "/user/info?user_id=u"),
    POST(user_update, "/user/update"),
    ITEM(user_delete, "/user/delete", "{\"user_ids\":[\"i\\\"1\"]}"),
    POST(user_delete_many, "/user/delete"),
    POST(customer_new, "/customer/new"),
    BARE(customer_list, "/customer/list"),
    READ(customer_info, "c", "/customer/info?end_user_id=c"),
    POST(customer_update, "/customer/update"),
    ITEM(customer_delete, "/customer/delete", "{\"user_ids\":[\"i\\\"1\"]}"),
    POST(budget_new, "/budget/new"),
    BARE(budget_list, "/budget/list"),
    ITEM(budget_info, "/budget/info", "{\"budgets\":[\"i\\\"1\"]}"),
    READ(budget_settings, "b", "/budget/settings?budget_id=b"),
    POST(budget_update, "/budget/update"),
    ITEM(budget_delete, "/budget/delete", "{\"id\":\"i\\\"1\"}"),
    READ(spend_days, DAYS, "/spend/logs" DAYS_QUERY),
    READ(spend_keys, DAYS, "/spend/keys" DAYS_QUERY),
    READ(spend_users, DAYS, "/spend/users" DAYS_QUERY),
    READ(spend_tags, DAYS, "/spend/tags" DAYS_QUERY),
    POST(spend_calculate, "/spend/calculate"),
    POST(token_count, "/utils/token_counter"),
    BARE(global_spend, "/global/spend"),
    READ(global_spend_logs, DAYS, "/global/spend/logs" DAYS_QUERY),
    READ(global_spend_keys, NULL, "/global/spend/keys"),
    READ(global_spend_models, DAYS, "/global/spend/models" DAYS_QUERY),
    BARE(global_spend_teams, "/global/spend/teams"),
    READ(global_spend_providers, DAYS, "/global/spend/provider" DAYS_QUERY),
    READ(global_spend_tags, DAYS, "/global/spend/tags" DAYS_QUERY),
    READ(global_activity, DAYS, "/global/activity" DAYS_QUERY),
    READ(global_activity_models, DAYS, "/global/activity/model" DAYS_QUERY),
    READ(activity, DAYS, "/user/daily/activity/aggregated" DAYS_QUERY),
    BARE(router_settings, "/router/settings"),
    POST(config_update, "/config/update"),
    BARE(config_callbacks, "/get/config/callbacks"),
    READ(config_list, "{\"config_type\":\"x\"}", "/config/list?config_type=x"),
    POST(fallback_set, "/fallback"),
    READ(fallback_get, "a/b", "/fallback/a%2Fb"),
    {NULL, aicp_litellm_fallback_delete, "m", "[\"DELETE /fallback/m\",null]"},
    BARE(cache_settings, "/cache/settings"),
    POST(cache_settings_update, "/cache/settings"),
    BARE(cache_ping, "/cache/ping"),
    BARE(guardrails, "/v2/guardrails/list"),
    POST(guardrail_apply, "/guardrails/apply_guardrail"),
    POST(chat, "/v1/chat/completions"),
    POST(completion, "/v1/completions"),
    POST(response, "/v1/responses"),
    POST(message, "/v1/messages"),
    POST(embedding, "/v1/embeddings"),
};

static aicp_status ask(const fixture *f, const asked *a, aicp_error *err) {
    size_t len = a->data ? strlen(a->data) : 0;
    return a->bare ? a->bare(f->client, f->reply, err)
                   : a->text(f->client, a->data, len, f->reply, err);
}

Test(litellm_calls, ask_for_what_they_should) {
    fixture f;
    make(&f, mirror, NULL);
    for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++) {
        aicp_error err = {0};
        cr_assert_eq(ask(&f, &ASKED[i], &err), AICP_OK, "%s: %s", ASKED[i].wanted, err.message);
        expect_body(&f, ASKED[i].wanted);
    }
    finish(&f);
}

Test(litellm_calls, with_an_id_and_a_body_send_both) {
    fixture f;
    make(&f, mirror, NULL);
    cr_assert_eq(aicp_litellm_model_patch(f.client, "a/b", 3, "{}", 2, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"PATCH /model/a%2Fb/update\",{}]");
    cr_assert_eq(aicp_litellm_key_reset_spend(f.client, "0f", 2, "[1]", 3, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"POST /key/0f/reset_spend\",[1]]");
    cr_assert_eq(
        aicp_litellm_key_reset_spend(f.client, "0f", 2, NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(
        aicp_litellm_model_patch(f.client, "", 0, "{}", 2, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(
        aicp_litellm_call(f.client, "DELETE", "/fallback/m", NULL, 0, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"DELETE /fallback/m\",null]");
    finish(&f);
}

Test(litellm_calls, a_key_travels_as_its_hash) {
    static const text_fn CALLS[] = {
        aicp_litellm_key_info,
        aicp_litellm_key_delete,
        aicp_litellm_key_block,
        aicp_litellm_key_unblock};
    fixture f;
    make(&f, mirror, NULL);
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++) {
        size_t len = 0;
        cr_assert_eq(CALLS[i](f.client, "sk-abc", 6, f.reply, NULL), AICP_OK);
        cr_assert_null(strstr(aicp_litellm_reply_body(f.reply, &len), "sk-abc"));
        cr_assert_gt(len, 64);
    }
    cr_assert_eq(
        aicp_litellm_key_reset_spend(f.client, "sk-abc", 6, "1", 1, f.reply, NULL), AICP_OK);
    cr_assert_null(strstr(aicp_litellm_reply_body(f.reply, NULL), "sk-abc"));
    finish(&f);
}

Test(litellm_calls, without_what_they_need_send_nothing) {
    fixture f;
    make(&f, mirror, NULL);
    cr_assert_eq(aicp_litellm_models(NULL, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_models(f.client, NULL, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_key_find(NULL, NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_key_info(f.client, NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_team_block(f.client, "", 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_user_delete(f.client, NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_fallback_get(f.client, "", 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_chat(f.client, NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(aicp_litellm_call(f.client, "GET", "x", NULL, 0, f.reply, NULL), AICP_ERR_INVALID);
    cr_assert_eq(http_server_requests(f.server), 0);
    finish(&f);
}

/* ---- filters -------------------------------------------------------------------------------- */

static aicp_status filter(const fixture *f, const char *filters, aicp_error *err) {
    return aicp_litellm_spend_days(f->client, filters, strlen(filters), f->reply, err);
}

Test(litellm_filters, become_the_query) {
    fixture f;
    make(&f, mirror, NULL);
    static const char *const CASES[][2] = {
        {"", ""},
        {"{}", ""},
        {"{\"a\":null,\"b\":true,\"c\":1.5e3}", "?b=true&c=1.5e3"},
        {"{\"a b\":\"x&y=\\u00e9\"}", "?a%20b=x%26y%3D%C3%A9"},
        {"{\"ids\":[\"a,b\",2,false],\"none\":[]}", "?ids=a%2Cb%2C2%2Cfalse"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char wanted[256];
        cr_assert_eq(filter(&f, CASES[i][0], NULL), AICP_OK, "%s", CASES[i][0]);
        snprintf(wanted, sizeof wanted, "[\"GET /spend/logs%s\",null]", CASES[i][1]);
        expect_body(&f, wanted);
    }
    finish(&f);
}

Test(litellm_filters, that_are_none_are_refused) {
    static const char *const CASES[] = {
        "[]", "\"a\"", "{\"a\":{}}", "{\"a\":[[]]}", "{\"a\":[null]}", "{\"a\":1", "{} x"};
    fixture f;
    make(&f, mirror, NULL);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        aicp_error err = {0};
        aicp_status status = filter(&f, CASES[i], &err);
        cr_assert(status == AICP_ERR_INVALID || status == AICP_ERR_PARSE, "%s", CASES[i]);
        cr_assert_eq(err.code, status);
        size_t len = strlen(CASES[i]);
        cr_assert_eq(
            aicp_litellm_key_find(f.client, CASES[i], len, f.reply, NULL), status, "%s", CASES[i]);
    }
    static char longer[70000] = "{\"a\":\"";
    memset(longer + 6, 'x', sizeof longer - 9);
    memcpy(longer + sizeof longer - 3, "\"}", 3);
    cr_assert_eq(filter(&f, longer, NULL), AICP_ERR_LIMIT);
    cr_assert_eq(
        aicp_litellm_key_find(f.client, longer, strlen(longer), f.reply, NULL), AICP_ERR_LIMIT);
    cr_assert_eq(http_server_requests(f.server), 0);
    finish(&f);
}

/* ---- pages ---------------------------------------------------------------------------------- */

static int page_of(const http_request *q) {
    int page = 0;
    const char *at = strstr(q->target, "&page=");
    cr_assert(at && sscanf(at, "&page=%d", &page) == 1, "%s", q->target);
    return page;
}

static void three_pages(void *user, const http_request *q, http_connection *c) {
    (void)user;
    int page = page_of(q);
    cr_assert(strstr(q->target, "/key/list?") == q->target);
    cr_assert(strstr(q->target, "return_full_object=true"));
    cr_assert(strstr(q->target, "&size=100"));
    static const char *const PAGES[] = {
        "{\"token\":\"a\"},{\"token\":\"b\"}", "{\"token\":\"c\"}", ""};
    char body[256];
    snprintf(
        body,
        sizeof body,
        "{\"keys\":[%s],\"total_count\":3,\"current_page\":%d,\"total_pages\":3}",
        PAGES[page - 1],
        page);
    http_reply(c, 200, "", body);
}

Test(litellm_pages, are_joined) {
    fixture f;
    make(&f, three_pages, NULL);
    cr_assert_eq(aicp_litellm_key_list(f.client, f.reply, NULL), AICP_OK);
    expect_body(&f, "[{\"token\":\"a\"},{\"token\":\"b\"},{\"token\":\"c\"}]");
    cr_assert_eq(http_server_requests(f.server), 3);
    finish(&f);
}

/* Two pages of each list, by the name that stands in its path. */
static void any_list(void *user, const http_request *q, http_connection *c) {
    static const char *const LISTS[][2] = {
        {"/v2/model/info?", "data"},
        {"/key/list?", "keys"},
        {"/v2/team/list?", "teams"},
        {"/user/list?", "users"},
        {"/spend/logs/v2?", "data"},
    };
    char body[256] = "";
    (void)user;
    int page = page_of(q);
    cr_assert(strstr(q->target, "?search=x"));
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++) {
        if (strstr(q->target, LISTS[i][0]) == q->target) {
            snprintf(body, sizeof body, "{\"%s\":[%d],\"total_pages\":2}", LISTS[i][1], page);
        }
    }
    if (strstr(q->target, "/daily/activity?")) { /* these count elsewhere */
        snprintf(
            body,
            sizeof body,
            "{\"results\":[%d],\"metadata\":{\"total_spend\":0.5,\"total_pages\":2}}",
            page);
    }
    http_reply(c, 200, "", body);
}

Test(litellm_pages, of_every_list_are_read) {
    static const text_fn LISTS[] = {
        aicp_litellm_model_find,
        aicp_litellm_key_find,
        aicp_litellm_team_find,
        aicp_litellm_user_find,
        aicp_litellm_spend_logs,
        aicp_litellm_activity_days,
        aicp_litellm_team_activity_days,
        aicp_litellm_customer_activity_days,
    };
    fixture f;
    make(&f, any_list, NULL);
    for (size_t i = 0; i < sizeof LISTS / sizeof *LISTS; i++) {
        aicp_error err = {0};
        cr_assert_eq(
            LISTS[i](f.client, "{\"search\":\"x\"}", 14, f.reply, &err),
            AICP_OK,
            "%s",
            err.message);
        expect_body(&f, "[1,2]");
    }
    finish(&f);
}

Test(litellm_pages, one_that_is_asked_for_comes_as_it_is) {
    static const char FILTERS[] = "{\"page\":2,\"size\":7,\"return_full_object\":false}";
    fixture f;
    make(&f, mirror, NULL);
    cr_assert_eq(
        aicp_litellm_key_find(f.client, FILTERS, sizeof FILTERS - 1, f.reply, NULL), AICP_OK);
    expect_body(&f, "[\"GET /key/list?page=2&size=7&return_full_object=false\",null]");
    finish(&f);
}

static void from_user(void *user, const http_request *q, http_connection *c) {
    (void)q;
    http_reply(c, 200, "", *(const char **)user);
}

static aicp_status list_of(const char *page, const aicp_litellm_options *options, aicp_error *err) {
    fixture f;
    make_with(&f, from_user, &page, options);
    aicp_status status = aicp_litellm_key_list(f.client, f.reply, err);
    finish(&f);
    return status;
}

Test(litellm_pages, are_bounded) {
    aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
    o.max_response = 4000;
    cr_assert_eq(list_of("{\"keys\":[1],\"total_pages\":10001}", NULL, NULL), AICP_ERR_LIMIT);
    cr_assert_eq(
        list_of("{\"keys\":[1],\"total_pages\":1,\"total_is_capped\":true}", NULL, NULL),
        AICP_ERR_LIMIT);
    /* each page is small enough, all of them are not */
    cr_assert_eq(
        list_of(
            "{\"keys\":[\"0123456789012345678901234567890123456789\"],\"total_pages\":900}",
            &o,
            NULL),
        AICP_ERR_LIMIT);
    cr_assert_eq(list_of("{\"keys\":[],\"total_pages\":0}", NULL, NULL), AICP_OK);
}

Test(litellm_pages, that_cannot_be_read_are_errors) {
    static const char *const PAGES[] = {
        "<html>", "", "{\"keys\":[1,", "{\"keys\":7}", "{\"teams\":[]}", "[]", "{\"keys\":null}"};
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES; i++) {
        aicp_error err = {0};
        cr_assert_eq(list_of(PAGES[i], NULL, &err), AICP_ERR_PARSE, "%s", PAGES[i]);
        cr_assert(err.message[0]);
    }
}

/* ---- failing allocations -------------------------------------------------------------------- */

typedef struct target {
    char url[64];
} target;

static bool client_body(void *user, const aicp_allocator *a) {
    const target *t = user;
    aicp_litellm_options o = AICP_LITELLM_OPTIONS_INIT;
    o.allocator = a;
    aicp_litellm *client = NULL;
    aicp_litellm_reply *reply = NULL;
    aicp_status status = aicp_litellm_open(t->url, strlen(t->url), "key-1", 5, &o, &client, NULL);
    if (status == AICP_OK) {
        status = aicp_litellm_reply_new(a, &reply, NULL);
    }
    if (status == AICP_OK) {
        status = aicp_litellm_key_find(client, "{\"user_id\":[\"a\\n\"]}", 19, reply, NULL);
    }
    aicp_litellm_reply_free(reply);
    aicp_litellm_free(client);
    return true;
}

Test(litellm_calls, survive_every_failing_allocation) {
    http_server *server = http_server_start(three_pages, NULL);
    target t;
    snprintf(t.url, sizeof t.url, "http://127.0.0.1:%d", http_server_port(server));
    cr_assert_gt(test_every_allocation_failing(client_body, &t), 5);
    http_server_stop(server);
}
