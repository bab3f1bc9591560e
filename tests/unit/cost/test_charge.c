/* Charges and estimates in exact decimals. */
#include "tests/unit/cost/cost_test.h"

#include "tests/unit/support.h"

static const char map[] =
    "{\"m\":{\"litellm_provider\":\"openai\",\"max_output_tokens\":1000,"
    "\"input_cost_per_token\":2.5e-6,\"output_cost_per_token\":1e-5,"
    "\"cache_read_input_token_cost\":1.25e-6,\"cache_creation_input_token_cost\":3e-6,"
    "\"cache_creation_input_token_cost_above_1hr\":5e-6,"
    "\"output_cost_per_reasoning_token\":2e-5,\"input_cost_per_audio_token\":4e-6,"
    "\"input_cost_per_token_above_200k_tokens\":5e-6,"
    "\"output_cost_per_token_above_200k_tokens\":1.5e-5,"
    "\"input_cost_per_token_priority\":4e-6,\"output_cost_per_token_priority\":1.6e-5,"
    "\"input_cost_per_token_batches\":1e-6,\"regional_processing_uplift_multiplier_eu\":1.1,"
    "\"search_context_cost_per_query\":{\"search_context_size_medium\":0.03}},"
    "\"free\":{\"input_cost_per_token\":0,\"output_cost_per_token\":0,"
    "\"cache_read_input_token_cost\":0},"
    "\"bare\":{\"input_cost_per_token\":1e-6},"
    "\"none\":{\"mode\":\"chat\"},"
    "\"x\":{\"litellm_provider\":\"xai\",\"input_cost_per_token\":1e-6,"
    "\"output_cost_per_token\":1e-6,\"input_cost_per_token_above_128k_tokens\":2e-6},"
    "\"tiny\":{\"input_cost_per_token\":1.3e-10,\"output_cost_per_token\":0.0002833333333333333},"
    "\"steps\":{\"output_cost_per_token\":7e-6,\"tiered_pricing\":["
    "{\"range\":[32000.0,128000.0],\"input_cost_per_token\":2e-6,\"output_cost_per_token\":4e-6},"
    "{\"range\":[0,32000.0],\"input_cost_per_token\":1e-6}]},"
    "\"night\":{\"input_cost_per_token\":2e-6,\"output_cost_per_token\":4e-6,"
    "\"off_peak_pricing\":{\"input_cost_per_token\":1e-6,\"weekday_timezone\":\"Asia/Shanghai\","
    "\"windows\":[{\"hours_utc\":[\"22:30-02:00\"],\"weekdays\":[1,2,3,4,5]},"
    "{\"hours_utc\":\"00:00-00:00\",\"weekdays\":[6,7]}]}},"
    "\"page\":{\"ocr_cost_per_page\":0.002,\"input_cost_per_second\":0.0001},"
    "\"text\":{\"input_cost_per_character\":1.5e-5,\"input_cost_per_token\":1}}";

static aicp_price_table *table;

static void setup(void) {
    aicp_error err = {0};
    cr_assert_eq(
        aicp_price_table_parse(map, sizeof map - 1, NULL, &table, &err),
        AICP_OK,
        "%s",
        err.message);
}

static void teardown(void) {
    aicp_price_table_free(table);
}

TestSuite(charge, .init = setup, .fini = teardown);
TestSuite(estimate, .init = setup, .fini = teardown);

static const aicp_price *price(const char *model) {
    const aicp_price *p = NULL;
    cr_assert_eq(aicp_price_table_find(table, model, strlen(model), &p, NULL), AICP_OK);
    return p;
}

static aicp_cost charge(const char *model, aicp_usage usage, int32_t tier, int32_t uplift) {
    aicp_cost_options o = AICP_COST_OPTIONS_INIT;
    aicp_cost cost;
    aicp_error err = {0};
    o.tier = tier;
    o.uplift = uplift;
    usage.size = sizeof usage;
    cr_assert_eq(
        aicp_cost_of_usage(price(model), &usage, &o, &cost, &err), AICP_OK, "%s", err.message);
    int64_t sum = 0;
    for (int i = 0; i < AICP_PART_COUNT; i++) {
        sum += cost.part_nano[i];
    }
    cr_assert_eq(sum, cost.total_nano);
    return cost;
}

static int64_t total(const char *model, aicp_usage usage, int32_t tier) {
    return charge(model, usage, tier, AICP_UPLIFT_NONE).total_nano;
}

#define USAGE(...) ((aicp_usage){.size = sizeof(aicp_usage), __VA_ARGS__})
#define CHAT(in, out) USAGE(.prompt_tokens = in, .completion_tokens = out)

Test(charge, plain_tokens_cost_price_times_count) {
    aicp_cost c = charge("m", CHAT(1000, 500), 0, 0);
    cr_assert_eq(c.total_nano, 2500000 + 5000000);
    cr_assert_eq(c.part_nano[AICP_PART_INPUT], 2500000);
    cr_assert_eq(c.quantity[AICP_PART_OUTPUT], 500);
    cr_assert_eq(c.price_femto[AICP_PART_OUTPUT], 10000000000);
    cr_assert_eq(total("free", CHAT(1000000, 1000000), 0), 0);
    cr_assert_str_eq(aicp_cost_part_name(AICP_PART_CACHE_READ), "cache_read");
    cr_assert_str_eq(aicp_cost_part_name(AICP_PART_COUNT), "");
}

Test(charge, the_sum_is_rounded_once_and_shared_out) {
    /* 3 * 0.13 + 1 * 283333.3333... = 283333.72 -> 283334 */
    aicp_cost c = charge("tiny", CHAT(3, 1), 0, 0);
    cr_assert_eq(c.total_nano, 283334);
    cr_assert_eq(c.part_nano[AICP_PART_INPUT], 1); /* the larger remainder */
    cr_assert_eq(c.part_nano[AICP_PART_OUTPUT], 283333);
    cr_assert_eq(total("tiny", CHAT(3, 0), 0), 0);
    cr_assert_eq(total("tiny", CHAT(4, 0), 0), 1);
}

Test(charge, cache_audio_and_reasoning_have_their_own_prices) {
    aicp_cost c = charge(
        "m",
        USAGE(.prompt_tokens = 1000,
              .completion_tokens = 100,
              .cache_read_tokens = 300,
              .cache_write_tokens = 200,
              .cache_write_1h_tokens = 100,
              .prompt_audio_tokens = 50,
              .reasoning_tokens = 40),
        0,
        0);
    cr_assert_eq(c.quantity[AICP_PART_INPUT], 350);
    cr_assert_eq(c.part_nano[AICP_PART_INPUT], 350 * 2500);
    cr_assert_eq(c.part_nano[AICP_PART_CACHE_READ], 300 * 1250);
    cr_assert_eq(c.part_nano[AICP_PART_CACHE_WRITE], 200 * 3000);
    cr_assert_eq(c.part_nano[AICP_PART_CACHE_WRITE_1H], 100 * 5000);
    cr_assert_eq(c.part_nano[AICP_PART_INPUT_AUDIO], 50 * 4000);
    cr_assert_eq(c.part_nano[AICP_PART_OUTPUT], 60 * 10000);
    cr_assert_eq(c.part_nano[AICP_PART_REASONING], 40 * 20000);
    /* An explicit 0 stays 0; a missing price is the input's. */
    cr_assert_eq(total("free", USAGE(.prompt_tokens = 9, .cache_read_tokens = 9), 0), 0);
    cr_assert_eq(total("bare", USAGE(.prompt_tokens = 9, .cache_read_tokens = 9), 0), 9000);
}

Test(charge, overlapping_details_are_cut) {
    aicp_cost c = charge(
        "m",
        USAGE(.prompt_tokens = 100,
              .cache_read_tokens = 80,
              .prompt_audio_tokens = 50,
              .prompt_image_tokens = 50,
              .completion_tokens = 10,
              .reasoning_tokens = 30),
        0,
        0);
    cr_assert_eq(c.quantity[AICP_PART_INPUT], 0);
    cr_assert_eq(c.quantity[AICP_PART_INPUT_AUDIO], 20);
    cr_assert_eq(c.quantity[AICP_PART_INPUT_IMAGE], 0);
    cr_assert_eq(c.quantity[AICP_PART_OUTPUT], 0);
    cr_assert_eq(c.quantity[AICP_PART_REASONING], 30);
}

Test(charge, a_threshold_holds_for_all_tokens_once_it_is_passed) {
    cr_assert_eq(total("m", CHAT(200000, 1), 0), INT64_C(200000) * 2500 + 10000);
    cr_assert_eq(total("m", CHAT(200001, 1), 0), INT64_C(200001) * 5000 + 15000);
    cr_assert_eq(total("x", CHAT(127999, 0), 0), 127999 * 1000);
    cr_assert_eq(total("x", CHAT(128000, 0), 0), 128000 * 2000); /* xAI: from N on */
}

Test(charge, price_steps_hold_for_all_tokens) {
    cr_assert_eq(total("steps", CHAT(32000, 1), 0), 32000 * 1000 + 7000);
    cr_assert_eq(total("steps", CHAT(32001, 1), 0), 32001 * 2000 + 4000);
    cr_assert_eq(total("steps", CHAT(999999, 1), 0), 999999 * INT64_C(2000) + 4000);
    cr_assert_eq(total("steps", USAGE(.prompt_tokens = 10, .cache_read_tokens = 10), 0), 10 * 1000);
}

Test(charge, a_service_tier_without_a_price_costs_the_standard_price) {
    cr_assert_eq(total("m", CHAT(10, 10), AICP_TIER_PRIORITY), 10 * 4000 + 10 * 16000);
    cr_assert_eq(total("m", CHAT(10, 10), AICP_TIER_FLEX), 10 * 2500 + 10 * 10000);
    cr_assert_eq(total("m", CHAT(10, 10), AICP_TIER_BATCH), 10 * 1000 + 10 * 10000);
    /* The tier's own output price goes before the standard price of reasoning. */
    cr_assert_eq(
        total("m", USAGE(.completion_tokens = 10, .reasoning_tokens = 10), AICP_TIER_PRIORITY),
        10 * 16000);
}

Test(charge, off_peak_hours_replace_the_price) {
    aicp_cost_options o = AICP_COST_OPTIONS_INIT;
    aicp_usage u = CHAT(1000, 0);
    aicp_cost c;
    const int64_t hour = INT64_C(3600) * 1000000000;
    const int64_t monday = INT64_C(20780) * 24 * hour; /* 2026-11-23T00:00Z, 08:00 in Shanghai */
    static const struct {
        int64_t minutes;
        int64_t nano;
    } cases[] = {
        {0, 1000000},      /* wrapped window, Monday */
        {2 * 60, 2000000}, /* its end is not in it */
        {22 * 60 + 29, 2000000},
        {22 * 60 + 30, 1000000},       /* Tuesday in Shanghai */
        {5 * 1440 + 720, 1000000},     /* Saturday, all day */
        {4 * 1440 + 17 * 60, 1000000}, /* Friday 17:00Z is Saturday in Shanghai */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        o.wall_ns = monday + cases[i].minutes * (hour / 60);
        cr_assert_eq(aicp_cost_of_usage(price("night"), &u, &o, &c, NULL), AICP_OK);
        cr_assert_eq(c.total_nano, cases[i].nano, "case %zu", i);
    }
    o.wall_ns = 0;
    cr_assert_eq(aicp_cost_of_usage(price("night"), &u, &o, &c, NULL), AICP_OK);
    cr_assert_eq(c.total_nano, 2000000);
}

Test(charge, a_regional_multiplier_comes_last) {
    cr_assert_eq(charge("m", CHAT(1, 1), 0, AICP_UPLIFT_EU).total_nano, 13750);
    cr_assert_eq(charge("m", CHAT(1, 1), 0, AICP_UPLIFT_US).total_nano, 12500);
    cr_assert_eq(charge("tiny", CHAT(4, 0), 0, AICP_UPLIFT_EU).total_nano, 1);
}

Test(charge, other_units_are_added) {
    cr_assert_eq(total("page", USAGE(.pages = 3), 0), 6000000);
    cr_assert_eq(total("page", USAGE(.input_milliseconds = 1500), 0), 150000);
    cr_assert_eq(total("m", USAGE(.queries = 2), 0), 60000000);
    cr_assert_eq(total("text", USAGE(.prompt_tokens = 5, .prompt_characters = 10), 0), 150000);
}

Test(charge, unknown_stays_unknown) {
    aicp_usage u = CHAT(1, 1);
    aicp_cost c;
    aicp_error err = {0};
    cr_assert_eq(aicp_cost_of_usage(price("bare"), &u, NULL, &c, &err), AICP_ERR_UNKNOWN_PRICE);
    cr_assert_str_eq(err.message, "bare has no price for output");
    cr_assert_eq(c.total_nano, 0);
    cr_assert_eq(aicp_cost_of_usage(price("none"), &u, NULL, &c, &err), AICP_ERR_UNKNOWN_PRICE);
    cr_assert_eq(aicp_cost_of_usage(NULL, &u, NULL, &c, &err), AICP_ERR_UNKNOWN_PRICE);
    u = CHAT(1, 0);
    cr_assert_eq(aicp_cost_of_usage(price("bare"), &u, NULL, &c, &err), AICP_OK);
}

Test(charge, impossible_counts_and_options_are_refused) {
    aicp_usage u = CHAT(-1, 1);
    aicp_cost_options o = AICP_COST_OPTIONS_INIT;
    aicp_cost c;
    cr_assert_eq(aicp_cost_of_usage(price("m"), &u, NULL, &c, NULL), AICP_ERR_RANGE);
    u = CHAT(INT64_MAX, 1);
    cr_assert_eq(aicp_cost_of_usage(price("m"), &u, NULL, &c, NULL), AICP_ERR_RANGE);
    u = CHAT(INT64_C(1) << 50, 0);
    cr_assert_eq(
        aicp_cost_of_usage(price("text"), &u, NULL, &c, NULL), AICP_ERR_RANGE); /* too much money */
    u = CHAT(1, 1);
    o.tier = 99;
    cr_assert_eq(aicp_cost_of_usage(price("m"), &u, &o, &c, NULL), AICP_ERR_INVALID);
    o.tier = 0;
    o.uplift = -1;
    cr_assert_eq(aicp_cost_of_usage(price("m"), &u, &o, &c, NULL), AICP_ERR_INVALID);
}

/* ---- usage objects ---- */

static aicp_usage usage_of(const char *json) {
    aicp_usage u = AICP_USAGE_INIT;
    aicp_error err = {0};
    cr_assert_eq(aicp_usage_parse(json, strlen(json), &u, &err), AICP_OK, "%s", err.message);
    return u;
}

Test(charge, usage_of_chat_completions) {
    aicp_usage u =
        usage_of("{\"prompt_tokens\":100,\"completion_tokens\":20,\"total_tokens\":120,"
                 "\"prompt_tokens_details\":{\"cached_tokens\":30,\"audio_tokens\":null},"
                 "\"completion_tokens_details\":{\"reasoning_tokens\":5,\"audio_tokens\":1}}");
    cr_assert_eq(u.prompt_tokens, 100);
    cr_assert_eq(u.completion_tokens, 20);
    cr_assert_eq(u.cache_read_tokens, 30);
    cr_assert_eq(u.reasoning_tokens, 5);
    cr_assert_eq(u.completion_audio_tokens, 1);
    cr_assert_eq(usage_of("{\"prompt_tokens\":1,\"prompt_tokens_details\":null}").prompt_tokens, 1);
}

Test(charge, usage_of_responses) {
    aicp_usage u = usage_of(
        "{\"input_tokens\":100,\"output_tokens\":20,\"input_tokens_details\":{\"cached_tokens\":30"
        "},\"output_tokens_details\":{\"reasoning_tokens\":5}}");
    cr_assert_eq(u.prompt_tokens, 100);
    cr_assert_eq(u.completion_tokens, 20);
    cr_assert_eq(u.cache_read_tokens, 30);
    cr_assert_eq(u.reasoning_tokens, 5);
}

Test(charge, usage_of_anthropic_messages_leaves_out_the_cache) {
    aicp_usage u = usage_of(
        "{\"input_tokens\":10,\"output_tokens\":20,\"cache_read_input_tokens\":30,"
        "\"cache_creation_input_tokens\":70,\"cache_creation\":{\"ephemeral_5m_input_tokens\":50,"
        "\"ephemeral_1h_input_tokens\":20},\"server_tool_use\":{\"web_search_requests\":2}}");
    cr_assert_eq(u.prompt_tokens, 110);
    cr_assert_eq(u.cache_read_tokens, 30);
    cr_assert_eq(u.cache_write_tokens, 50);
    cr_assert_eq(u.cache_write_1h_tokens, 20);
    cr_assert_eq(u.queries, 2);
}

Test(charge, bad_usage_is_refused) {
    static const char *const bad[] = {
        "[]", "{\"prompt_tokens\":-1}", "{\"prompt_tokens\":1.5}", "{\"prompt_tokens\":\"1\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        aicp_usage u = AICP_USAGE_INIT;
        cr_assert_neq(aicp_usage_parse(bad[i], strlen(bad[i]), &u, NULL), AICP_OK, "%s", bad[i]);
    }
    aicp_usage u = {0};
    cr_assert_eq(aicp_usage_parse("{}", 2, &u, NULL), AICP_ERR_INVALID);
}

/* ---- estimates ---- */

static aicp_cost_quote quote(const char *json, const char *model, const aicp_cost_options *o) {
    aicp_cost_request *r = NULL;
    aicp_cost_quote q;
    aicp_error err = {0};
    cr_assert_eq(aicp_cost_request_new(NULL, &r, NULL), AICP_OK);
    cr_assert_eq(aicp_cost_request_parse(r, json, strlen(json), NULL), AICP_OK);
    cr_assert_eq(aicp_cost_estimate(r, price(model), o, &q, &err), AICP_OK, "%s", err.message);
    aicp_cost_request_free(r);
    return q;
}

#define HELLO(rest)                                                                                \
    "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello world\"}]" rest "}"

Test(estimate, the_most_is_input_and_cap_times_answers) {
    aicp_cost_quote q = quote(HELLO(",\"max_tokens\":100,\"n\":3"), "m", NULL);
    cr_assert_eq(q.input.tokens, 9);
    cr_assert_eq(q.output_cap, 100);
    cr_assert_eq(q.output_p50, 100); /* 300 + 9 / 8, but no more than the cap */
    cr_assert_eq(q.answers, 3);
    cr_assert_eq(q.cost_input_nano, 9 * 2500);
    cr_assert_eq(q.cost_expected_nano, 9 * 2500 + 300 * 10000);
    /* Input as a cache write, output as reasoning: the dearest prices that can apply. */
    cr_assert_eq(q.cost_max_nano, 9 * 3000 + 300 * 20000);
    cr_assert_geq(q.cost_p95_nano, q.cost_expected_nano);
    q = quote(HELLO(""), "m", NULL);
    cr_assert_eq(q.output_cap, 1000); /* the model's maximum */
    cr_assert_eq(q.output_p50, 301);
    cr_assert_eq(q.output_p95, 1000);
    q = quote(HELLO(""), "free", NULL);
    cr_assert_eq(q.output_cap, 16384); /* neither asked nor known */
    cr_assert_eq(q.cost_max_nano, 0);
}

Test(estimate, learned_figures_replace_the_rule) {
    aicp_cost_options o = AICP_COST_OPTIONS_INIT;
    o.output_p50 = 40;
    o.output_p95 = 90;
    aicp_cost_quote q = quote(HELLO(""), "m", &o);
    cr_assert_eq(q.output_p50, 40);
    cr_assert_eq(q.output_p95, 90);
    cr_assert_eq(q.expected_from_history, 1);
    cr_assert_eq(q.cost_expected_nano, 9 * 2500 + 40 * 10000);
}

Test(estimate, a_tier_reserves_the_dearer_of_its_price_and_the_standard_one) {
    aicp_cost_options o = AICP_COST_OPTIONS_INIT;
    o.tier = AICP_TIER_BATCH;
    aicp_cost_quote q = quote(HELLO(",\"max_tokens\":1"), "m", &o);
    cr_assert_eq(q.cost_expected_nano, 9 * 1000 + 10000);
    cr_assert_eq(q.cost_max_nano, 9 * 3000 + 20000);
    o.tier = AICP_TIER_PRIORITY;
    o.uplift = AICP_UPLIFT_EU;
    q = quote(HELLO(",\"max_tokens\":1"), "m", &o);
    cr_assert_eq(q.cost_max_nano, 9 * 4400 + 22000);
}

Test(estimate, an_hour_of_cache_is_reserved_when_asked_for) {
    aicp_cost_quote q = quote(
        "{\"model\":\"gpt-4o\",\"max_tokens\":0,\"messages\":[{\"role\":\"user\",\"content\":[{"
        "\"type\":\"text\",\"text\":\"hello world\",\"cache_control\":{\"type\":\"ephemeral\","
        "\"ttl\":\"1h\"}}]}]}",
        "m",
        NULL);
    cr_assert_eq(q.cost_max_nano, 9 * 5000);
}

Test(estimate, embeddings_have_no_output) {
    aicp_cost_quote q =
        quote("{\"model\":\"text-embedding-3-small\",\"input\":\"hello world\"}", "bare", NULL);
    cr_assert_eq(q.output_cap, 0);
    cr_assert_eq(q.cost_max_nano, 2000);
}

Test(estimate, unknown_prices_still_give_tokens) {
    aicp_cost_quote q;
    aicp_error err = {0};
    const char body[] = HELLO("");
    cr_assert_eq(
        aicp_cost_estimate_body(table, body, sizeof body - 1, NULL, &q, &err),
        AICP_ERR_UNKNOWN_PRICE);
    cr_assert_str_eq(err.message, "no price for model \"gpt-4o\"");
    cr_assert_eq(q.input.tokens, 9);
    cr_assert_eq(q.cost_max_nano, 0);
    const char known[] = "{\"model\":\"m\",\"prompt\":\"a\",\"max_tokens\":0}";
    cr_assert_eq(aicp_cost_estimate_body(table, known, sizeof known - 1, NULL, &q, &err), AICP_OK);
    cr_assert_gt(q.cost_max_nano, 0);
}

Test(estimate, absurd_requests_do_not_overflow) {
    aicp_cost_request *r = NULL;
    aicp_cost_quote q;
    cr_assert_eq(aicp_cost_request_new(NULL, &r, NULL), AICP_OK);
    aicp_cost_request_set_max_tokens(r, INT64_MAX);
    aicp_cost_request_set_n(r, INT64_MAX);
    cr_assert_eq(aicp_cost_estimate(r, price("x"), NULL, &q, NULL), AICP_ERR_RANGE);
    aicp_cost_request_free(r);
}

Test(estimate, a_warm_request_uses_no_heap) {
    test_heap heap = {0};
    aicp_allocator a = test_allocator(&heap);
    aicp_cost_request *r = NULL;
    aicp_cost_quote q;
    const char body[] = HELLO(",\"max_tokens\":10");
    size_t before = 0;
    cr_assert_eq(aicp_cost_request_new(&a, &r, NULL), AICP_OK);
    for (int i = 0; i < 3; i++) {
        before = i == 1 ? heap.allocations : before;
        cr_assert_eq(aicp_cost_request_parse(r, body, sizeof body - 1, NULL), AICP_OK);
        cr_assert_eq(aicp_cost_estimate(r, price("m"), NULL, &q, NULL), AICP_OK);
    }
    cr_assert_eq(heap.allocations, before);
    aicp_cost_request_free(r);
}
