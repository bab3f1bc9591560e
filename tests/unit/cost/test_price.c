/* The price map: reading, looking up, overriding. */
#include "tests/unit/cost/cost_test.h"

#include "tests/unit/support.h"

static aicp_price_table *parse_over(const char *json, aicp_price_table *base, const char *version) {
    aicp_price_table_options o = AICP_PRICE_TABLE_OPTIONS_INIT;
    aicp_price_table *t = NULL;
    aicp_error err = {0};
    o.base = base;
    o.version = version;
    cr_assert_eq(
        aicp_price_table_parse(json, strlen(json), &o, &t, &err), AICP_OK, "%s", err.message);
    return t;
}

static aicp_price_table *whole_map(aicp_model_list *models) {
    aicp_buf file = test_source_file("data/models/litellm_prices.json");
    aicp_price_table_options o = AICP_PRICE_TABLE_OPTIONS_INIT;
    aicp_price_table *t = NULL;
    aicp_error err = {0};
    o.models = models;
    cr_assert_eq(
        aicp_price_table_parse(file.data, file.len, &o, &t, &err), AICP_OK, "%s", err.message);
    aicp_buf_free(&file);
    return t;
}

static aicp_model_list *model_list(void) {
    aicp_buf file = test_source_file("data/models/models.json");
    aicp_model_list *list = NULL;
    aicp_error err = {0};
    cr_assert_eq(
        aicp_model_list_parse(file.data, file.len, NULL, &list, &err), AICP_OK, "%s", err.message);
    aicp_buf_free(&file);
    return list;
}

static const aicp_price *find(const aicp_price_table *t, const char *model) {
    const aicp_price *price = NULL;
    return aicp_price_table_find(t, model, strlen(model), &price, NULL) == AICP_OK ? price : NULL;
}

static const char *key(const aicp_price_table *t, const char *model) {
    const aicp_price *price = find(t, model);
    return price != NULL ? aicp_price_key(price) : "(unknown)";
}

static int64_t get(const aicp_price *price, const char *name) {
    int64_t femto = -1;
    return aicp_price_get(price, name, strlen(name), &femto, NULL) == AICP_OK ? femto : -1;
}

Test(price, the_whole_map_is_read) {
    aicp_price_table *t = whole_map(NULL);
    cr_assert_eq(aicp_price_table_count(t), 4551);
    cr_assert_eq(aicp_price_table_rounded(t), 88); /* 79 of them at the top of a model */
    cr_assert_str_eq(aicp_price_table_version(t), "8f8060d8ce7a40c9");
    cr_assert_not_null(aicp_price_table_at(t, 4550));
    cr_assert_null(aicp_price_table_at(t, 4551));
    const aicp_price *p = find(t, "gpt-4o");
    cr_assert_str_eq(aicp_price_key(p), "gpt-4o");
    cr_assert_str_eq(aicp_price_provider(p), "openai");
    cr_assert_str_eq(aicp_price_mode(p), "chat");
    cr_assert_eq(aicp_price_max_input_tokens(p), 128000);
    cr_assert_eq(aicp_price_max_output_tokens(p), 16384);
    cr_assert_eq(get(p, "input_cost_per_token"), 2500000000);
    cr_assert_eq(get(p, "input_cost_per_tokens"), -1);
    cr_assert_eq(aicp_price_known(p), 1);
    aicp_price_table_free(t);
}

Test(price, names_are_found_in_a_fixed_order) {
    aicp_price_table *t = whole_map(NULL);
    cr_assert_str_eq(key(t, "azure/gpt-4o"), "azure/gpt-4o");
    cr_assert_str_eq(key(t, "openai/gpt-4o"), "gpt-4o");
    cr_assert_str_eq(
        key(t, "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0");
    cr_assert_str_eq(key(t, "anthropic/claude-haiku-4-5-20251001"), "claude-haiku-4-5-20251001");
    cr_assert_str_eq(key(t, "deepseek-chat"), "deepseek-chat");
    cr_assert_str_eq(key(t, "gpt-4o-nonsense"), "(unknown)");
    cr_assert_str_eq(key(t, "gpt"), "(unknown)");
    cr_assert_str_eq(key(t, "nowhere/gpt-4o"), "(unknown)");
    cr_assert_str_eq(key(t, "sample_spec"), "(unknown)");
    cr_assert_str_eq(key(t, ""), "(unknown)");
    const aicp_price *price;
    aicp_error err = {0};
    cr_assert_eq(aicp_price_table_find(t, "gpt", 3, &price, &err), AICP_ERR_UNKNOWN_MODEL);
    cr_assert_str_eq(err.message, "no price for model \"gpt\"");
    aicp_price_table_free(t);
}

Test(price, regions_are_tried_as_given_and_then_without) {
    aicp_price_table *t = parse_over(
        "{\"anthropic.c\":{\"litellm_provider\":\"bedrock_converse\",\"input_cost_per_token\":1},"
        "\"eu.anthropic.c\":{\"litellm_provider\":\"bedrock\",\"input_cost_per_token\":2},"
        "\"azure/g\":{\"litellm_provider\":\"azure\",\"input_cost_per_token\":3},"
        "\"xai/grok-9\":{\"litellm_provider\":\"xai\",\"input_cost_per_token\":4}}",
        NULL,
        NULL);
    cr_assert_str_eq(key(t, "eu.anthropic.c"), "eu.anthropic.c");
    cr_assert_str_eq(key(t, "us.anthropic.c"), "anthropic.c");
    cr_assert_str_eq(key(t, "bedrock/eu.anthropic.c"), "eu.anthropic.c");
    cr_assert_str_eq(key(t, "bedrock/us-east-1/anthropic.c"), "anthropic.c");
    cr_assert_str_eq(key(t, "azure/eu/g"), "azure/g");
    cr_assert_str_eq(key(t, "azure/g"), "azure/g");
    cr_assert_str_eq(key(t, "grok-9"), "xai/grok-9");
    cr_assert_str_eq(key(t, "xai/anthropic.c"), "(unknown)"); /* a price of another provider */
    aicp_price_table_free(t);
}

Test(price, an_override_wins_and_keeps_its_version) {
    aicp_price_table *base = whole_map(NULL);
    aicp_price_table *t = parse_over(
        "{\"gpt-4o\":{\"input_cost_per_token\":\"2e-6\"},\"own\":{\"input_cost_per_token\":0}}",
        base,
        "contract-7");
    aicp_price_table_free(base);
    cr_assert_eq(get(find(t, "gpt-4o"), "input_cost_per_token"), 2000000000);
    cr_assert_str_eq(aicp_price_version(find(t, "gpt-4o")), "contract-7");
    cr_assert_str_eq(aicp_price_version(find(t, "gpt-4o-mini")), "8f8060d8ce7a40c9");
    cr_assert_eq(aicp_price_known(find(t, "own")), 1);
    cr_assert_eq(aicp_price_valid_from_ns(find(t, "own")), 0);
    aicp_price_table_free(t);
}

Test(price, names_of_the_configuration_lead_to_keys_of_the_map) {
    aicp_model_list *models = model_list();
    aicp_price_table *t = whole_map(models);
    for (size_t i = 0; i < aicp_model_list_count(models); i++) {
        const char *name = aicp_model_list_name(models, i);
        const char *expected = aicp_model_list_price_key(models, i);
        const aicp_price *p = find(t, name);
        if (expected[0] != '\0') {
            cr_assert_not_null(p, "%s", name);
            cr_assert_str_eq(aicp_price_key(p), expected);
        }
    }
    cr_assert_str_eq(key(t, "grok-4-heavy"), "(unknown)");
    cr_assert_eq(get(find(t, "llama-3.1-8b"), "input_cost_per_token"), 0);
    aicp_model_list_free(models);
    aicp_price_table_free(t);
}

Test(price, the_list_has_models_aliases_and_chains) {
    aicp_model_list *models = model_list();
    size_t index = 0;
    cr_assert_eq(aicp_model_list_count(models), 86);
    cr_assert_eq(aicp_model_list_find(models, "gpt-5", 5, &index, NULL), AICP_OK);
    cr_assert_str_eq(aicp_model_list_name(models, index), "gpt-5");
    cr_assert_str_eq(aicp_model_list_provider(models, index), "openai");
    cr_assert_str_eq(aicp_model_list_litellm_model(models, index), "gpt-5");
    cr_assert_str_eq(aicp_model_list_fallback(models, index, 0), "gpt-5.2");
    cr_assert_str_eq(aicp_model_list_fallback(models, index, 2), "grok-4");
    cr_assert_null(aicp_model_list_fallback(models, index, 3));
    cr_assert_str_eq(aicp_model_list_alias_member(models, "smart", 5, 1), "claude-sonnet-4.5");
    cr_assert_null(aicp_model_list_alias_member(models, "none", 4, 0));
    cr_assert_null(aicp_model_list_name(models, 86));
    cr_assert_eq(aicp_model_list_find(models, "gpt-", 4, &index, NULL), AICP_ERR_UNKNOWN_MODEL);
    for (size_t i = 0; i < 86; i++) {
        cr_assert_neq(aicp_model_list_provider(models, i)[0], '\0', "%zu", i);
    }
    aicp_model_list_free(models);
}

Test(price, bad_maps_are_refused_with_a_place) {
    static const struct {
        const char *json;
        aicp_status status;
    } bad[] = {
        {"", AICP_ERR_PARSE},
        {"[]", AICP_ERR_PARSE},
        {"{\"a\":1}", AICP_ERR_PARSE},
        {"{\"a\":{\"input_cost_per_token\":-1e-6}}", AICP_ERR_RANGE},
        {"{\"a\":{\"input_cost_per_token\":1e6}}", AICP_ERR_RANGE},
        {"{\"a\":{\"input_cost_per_token\":\"cheap\"}}", AICP_ERR_PARSE},
        {"{\"a\":{\"off_peak_pricing\":{\"hours_utc\":\"25:00-01:00\"}}}", AICP_ERR_PARSE},
        {"{\"a\":{},\"a\":{}}", AICP_ERR_PARSE},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        aicp_price_table *t = NULL;
        aicp_error err = {0};
        cr_assert_eq(
            aicp_price_table_parse(bad[i].json, strlen(bad[i].json), NULL, &t, &err),
            bad[i].status,
            "%s",
            bad[i].json);
        cr_assert_null(t);
        cr_assert_eq(err.line, 1);
        cr_assert_eq(strncmp(err.message, "price map: ", 11), 0);
    }
}

static bool parse_small(void *user, const aicp_allocator *a) {
    static const char map[] =
        "{\"m\":{\"litellm_provider\":\"p\",\"mode\":\"chat\",\"input_cost_per_token\":1e-6,"
        "\"tiered_pricing\":[{\"range\":[0,10],\"input_cost_per_token\":1e-6}],"
        "\"off_peak_pricing\":{\"hours_utc\":\"00:00-01:00\",\"input_cost_per_token\":0}}}";
    static const char list[] =
        "{\"schema\":\"aicp-models/1\",\"models\":[{\"name\":\"x\",\"price_key\":null,"
        "\"price_usd_per_unit\":{\"input\":\"0\",\"output\":\"0\"}}],\"aliases\":{\"a\":[\"x\"]}}";
    aicp_price_table_options o = AICP_PRICE_TABLE_OPTIONS_INIT;
    aicp_price_table *t = NULL;
    aicp_model_list *models = NULL;
    (void)user;
    aicp_status status = aicp_model_list_parse(list, sizeof list - 1, a, &models, NULL);
    if (status == AICP_OK) {
        o.allocator = a;
        o.models = models;
        status = aicp_price_table_parse(map, sizeof map - 1, &o, &t, NULL);
    }
    aicp_price_table_free(t);
    aicp_model_list_free(models);
    return status == AICP_OK || status == AICP_ERR_NOMEM;
}

Test(price, reading_survives_every_failing_allocation) {
    cr_assert_gt(test_every_allocation_failing(parse_small, NULL), 5);
}
