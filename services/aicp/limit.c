/* aicp limit: rate limits tried out in time that the input tells. */
#include "verbs.h"

#include "aicp/ratelimit.h"

#include <string.h>

/* The limiter reads 0 as "now": simulated time begins a day later. */
#define TIME_ZERO ((uint64_t)86400 * 1000000000u)
/* Values of one request: each dimension, and some tags. */
#define VALUES_MAX 32

typedef struct simulate_run {
    aicp_limit_rules *rules;
    aicp_limiter *limiter;
} simulate_run;

typedef struct dimension {
    const char *name;
    int32_t number;
} dimension;

static const dimension dimensions[] = {
    {"org", AICP_LIMIT_ORG},
    {"team", AICP_LIMIT_TEAM},
    {"user", AICP_LIMIT_USER},
    {"key", AICP_LIMIT_KEY},
    {"model", AICP_LIMIT_MODEL},
    {"model_group", AICP_LIMIT_MODEL_GROUP},
    {"agent", AICP_LIMIT_AGENT},
    {"end_user", AICP_LIMIT_END_USER},
    {"tag", AICP_LIMIT_TAG},
};

typedef struct subject {
    aicp_limit_value values[VALUES_MAX];
    size_t count;
} subject;

static bool add_value(subject *to, int32_t number, json_object *value, aicp_error *err) {
    if (!json_object_is_type(value, json_type_string)) {
        cli_fail(err, AICP_ERR_INVALID, "values of \"subject\" must be text");
        return false;
    }
    if (to->count == VALUES_MAX) {
        cli_fail(err, AICP_ERR_LIMIT, "more than %d values in \"subject\"", VALUES_MAX);
        return false;
    }
    aicp_limit_value *v = &to->values[to->count++];
    *v = (aicp_limit_value){
        number, 0, json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    return true;
}

static bool read_subject(json_object *from, subject *to, aicp_error *err) {
    to->count = 0;
    for (size_t i = 0; from != NULL && i < sizeof dimensions / sizeof dimensions[0]; i++) {
        json_object *value = NULL;
        if (!json_object_object_get_ex(from, dimensions[i].name, &value) || value == NULL) {
            continue;
        }
        bool list = json_object_is_type(value, json_type_array);
        size_t count = list ? json_object_array_length(value) : 1;
        for (size_t k = 0; k < count; k++) {
            json_object *item = list ? json_object_array_get_idx(value, k) : value;
            if (!add_value(to, dimensions[i].number, item, err)) {
                return false;
            }
        }
    }
    return true;
}

/* "t" is decimal seconds; its text is read, so that no digit is lost. */
static bool read_time(json_object *in, uint64_t *now_ns, aicp_error *err) {
    json_object *t = NULL;
    int64_t ns = 0;
    if (!json_object_object_get_ex(in, "t", &t) || json_object_is_type(t, json_type_null)) {
        cli_fail(err, AICP_ERR_INVALID, "\"t\" is missing");
        return false;
    }
    const char *text = json_object_get_string(t);
    if (aicp_money_parse(text, strlen(text), &ns, err) != AICP_OK || ns < 0) {
        cli_fail(err, AICP_ERR_INVALID, "\"t\" must be seconds, 0 or more");
        return false;
    }
    *now_ns = TIME_ZERO + (uint64_t)ns;
    return true;
}

static json_object *seconds_json(uint64_t ns) {
    char text[AICP_MONEY_TEXT_SIZE];
    if (ns > INT64_MAX) {
        return NULL;
    }
    aicp_money_format((int64_t)ns, text);
    return json_object_new_double_s((double)ns / 1e9, text);
}

static void put_result(const simulate_run *run, const aicp_limit_result *r, json_object *out) {
    const char *rule = r->rule >= 0 ? aicp_limit_rules_id(run->rules, (size_t)r->rule) : NULL;
    json_object_object_add(out, "allowed", json_object_new_boolean(r->allowed));
    json_object_object_add(
        out, "limit", rule != NULL ? json_object_new_int64((int64_t)r->limit) : NULL);
    json_object_object_add(
        out, "remaining", rule != NULL ? json_object_new_int64((int64_t)r->remaining) : NULL);
    json_object_object_add(out, "reset_after", seconds_json(r->reset_ns));
    json_object_object_add(out, "retry_after", seconds_json(r->retry_after_ns));
    json_object_object_add(out, "rule", rule != NULL ? json_object_new_string(rule) : NULL);
}

static bool simulate_line(void *user, json_object *in, json_object *out, aicp_error *err) {
    simulate_run *run = user;
    aicp_limit_request request = AICP_LIMIT_REQUEST_INIT;
    aicp_limit_result result = AICP_LIMIT_RESULT_INIT;
    json_object *who = NULL;
    json_object *tokens = NULL;
    subject values;
    if (!read_time(in, &request.now_ns, err) || !cli_get_object(in, "subject", false, &who, err) ||
        !read_subject(who, &values, err)) {
        return false;
    }
    if (json_object_object_get_ex(in, "tokens", &tokens) && tokens != NULL) {
        int64_t n = json_object_is_type(tokens, json_type_int) ? json_object_get_int64(tokens) : -1;
        if (n < 0) {
            cli_fail(err, AICP_ERR_INVALID, "\"tokens\" must be a whole number, 0 or more");
            return false;
        }
        request.tokens = (uint64_t)n;
    }
    request.values = values.values;
    request.value_count = values.count;
    aicp_status status = aicp_limiter_take(run->limiter, run->rules, &request, NULL, &result, err);
    if (status != AICP_OK && status != AICP_ERR_RATE_LIMITED && status != AICP_ERR_TOO_LARGE) {
        return false;
    }
    put_result(run, &result, out);
    return true;
}

static int run(const cli_args *args) {
    const char *path = cli_value(args, "rules");
    simulate_run job = {NULL, NULL};
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (path == NULL) {
        return cli_missing(args, "rules");
    }
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    aicp_status status = aicp_limit_rules_parse(text.data, text.len, NULL, &job.rules, &err);
    cli_text_free(&text);
    int code = CLI_NO;
    if (status != AICP_OK) {
        cli_print_problem(stderr, path, &err);
    } else if (aicp_limiter_new(NULL, &job.limiter, &err) != AICP_OK) {
        cli_print_problem(stderr, "aicp limit simulate", &err);
        code = CLI_ENV;
    } else {
        code = cli_each_line(args, simulate_line, &job);
    }
    aicp_limiter_free(job.limiter);
    aicp_limit_rules_free(job.rules);
    return code;
}

static const cli_option options[] = {
    {"rules", "FILE", NULL, "rate-limit rules as JSON (needed)"}, CLI_COMMON_OPTIONS};

const cli_verb cli_limit_simulate = {
    .noun = "limit",
    .verb = "simulate",
    .operands = "[FILE...]",
    .summary = "Try rate limits on requests in time order",
    .details =
        "Input: {\"t\":seconds,\"subject\":{\"user\",\"team\",\"model\",\"org\",\"key\"},"
        "\"tokens\":n} a line. Output:\n{\"allowed\",\"limit\",\"remaining\",\"reset_after\","
        "\"retry_after\",\"rule\"}, times in seconds; retry_after\nnull: waiting does not help.",
    .options = options,
    .run = run,
};
