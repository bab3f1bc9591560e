/* Paths, methods, CORS, who may call. */
#include "unit/service_api/service.h"

#include <string.h>

ON_SERVICE(api_router, literal_segments_win_and_a_rest_parameter_takes_slashes) {
    reply r = get(s, "/api/v1/widgets/summary");
    REPLY_IS(r, 200);
    cr_expect_str_eq(r.body, "\"summary\"");
    reply_free(&r);
    r = post(s, "/api/v1/echo/openai/gpt%2F4/x", "{}");
    REPLY_IS(r, 200);
    cr_expect_str_eq(aicps_text(r.json, "rest").data, "openai/gpt/4/x");
    reply_free(&r);
}

ON_SERVICE(api_router, unknown_paths_are_404_and_unknown_methods_405_with_allow) {
    reply r = get(s, "/api/v1/nothing");
    REPLY_IS(r, 404);
    cr_expect_eq(aicps_int(r.json, "status"), 404);
    cr_expect(aicps_text(r.json, "request_id").len > 0);
    reply_free(&r);
    r = delete_at(s, "/api/v1/widgets");
    REPLY_IS(r, 405);
    cr_expect_str_eq(header_of(&r, "Allow"), "GET, HEAD, POST, OPTIONS");
    reply_free(&r);
    /* the literal has no PUT; the parameter has */
    r = put(s, "/api/v1/widgets/summary", "{\"size\":1}");
    REPLY_IS(r, 404);
    reply_free(&r);
}

ON_SERVICE(api_router, a_trailing_slash_is_tolerated_and_head_is_get) {
    reply r = get(s, "/api/v1/widgets/");
    REPLY_IS(r, 200);
    reply_free(&r);
    r = call_as(s, "root", "HEAD", "/api/v1/widgets", NULL, NULL);
    REPLY_IS(r, 200);
    cr_expect_str_eq(header_of(&r, "X-Total-Count"), "0");
    reply_free(&r);
}

ON_SERVICE(api_router, cors_is_granted_to_listed_origins_only) {
    reply r = call_as(
        s,
        NULL,
        "OPTIONS",
        "/api/v1/widgets",
        "Origin: https://ui.example\nAccess-Control-Request-Method: POST",
        NULL);
    REPLY_IS(r, 204);
    cr_expect_str_eq(header_of(&r, "Access-Control-Allow-Origin"), "https://ui.example");
    cr_expect_str_eq(header_of(&r, "Access-Control-Allow-Credentials"), "true");
    cr_expect(strstr(header_of(&r, "Access-Control-Allow-Headers"), "Idempotency-Key"));
    cr_expect(strstr(header_of(&r, "Access-Control-Allow-Methods"), "DELETE"));
    reply_free(&r);
    r = call_as(s, "root", "GET", "/api/v1/widgets", "Origin: https://evil.example", NULL);
    REPLY_IS(r, 200);
    cr_expect_str_eq(header_of(&r, "Access-Control-Allow-Origin"), "");
    reply_free(&r);
}

ON_SERVICE(api_router, calls_need_an_identity_and_a_permission) {
    reply r = call_as(s, NULL, "GET", "/api/v1/widgets", NULL, NULL);
    REPLY_IS(r, 401);
    cr_expect_str_eq(header_of(&r, "WWW-Authenticate"), "Bearer");
    reply_free(&r);
    r = call_as(s, NULL, "GET", "/health", NULL, NULL);
    REPLY_IS(r, 200);
    reply_free(&r);
    r = call_as(s, "guest", "POST", "/api/v1/widgets", NULL, "{\"name\":\"x\"}");
    REPLY_IS(r, 403);
    reply_free(&r);
    r = call_as(s, "root", "POST", "/api/v1/robots", NULL, NULL);
    REPLY_IS(r, 403);
    reply_free(&r);
    r = call_as(s, "robot", "POST", "/api/v1/robots", NULL, NULL);
    REPLY_IS(r, 200);
    reply_free(&r);
    r = call_as(s, "robot", "POST", "/api/v1/robots", NULL, "{}");
    REPLY_IS(r, 400);
    reply_free(&r);
}

static void nothing(aicps_call *call) {
    (void)call;
}

static bool no_one(aicps_call *call, const aicps_identity **who) {
    (void)call;
    (void)who;
    return true;
}

static bool never(aicps_call *call, const char *action, const char *type, struct json_object *row) {
    (void)call;
    (void)action;
    (void)type;
    (void)row;
    return false;
}

Test(api_router, two_routes_of_one_method_and_pattern_are_refused) {
    static const aicps_route ROUTES[] = {
        {.method = "GET", .pattern = "/a/{x}", .handler = nothing},
        {.method = "GET", .pattern = "/a/{y}", .handler = nothing},
    };
    aicps_api *api = NULL;
    aicp_error err = {0};
    aicps_api_options o = {
        .store_url = "sqlite::memory:", .authenticate = no_one, .authorise = never};
    cr_assert_eq(aicps_api_new(&o, &api, &err), AICP_OK);
    cr_expect_eq(aicps_api_add_routes(api, ROUTES, 2, &err), AICP_ERR_INVALID);
    aicps_api_free(api);
}
