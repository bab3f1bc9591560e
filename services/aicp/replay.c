/* aicp replay: recorded requests put through two bundles, to see what the second would change. */
#include "verbs.h"

#include <string.h>
#include <time.h>

/* Time stands at the line's "time", so that limits count as they would have counted then, and
 * policies see the hour. */
typedef struct replay_clock {
    int64_t wall_ns;
    uint64_t monotonic_ns;
} replay_clock;

typedef struct replay_side {
    aicp_gate *gate;
    aicp_gate_request *request;
} replay_side;

typedef struct replay_run {
    replay_clock time;
    replay_side before;
    replay_side after;
    size_t asked;
    size_t newly_denied;
    size_t newly_allowed;
    size_t otherwise; /* denied both times, by another rule */
} replay_run;

#define SECOND_NS INT64_C(1000000000)
/* Nothing is fetched from afar: both stores are in memory. */
#define WAIT_NS ((uint64_t)SECOND_NS)

static int64_t wall_now(void *user) {
    return ((const replay_clock *)user)->wall_ns;
}

static uint64_t monotonic_now(void *user) {
    return ((const replay_clock *)user)->monotonic_ns;
}

static void clock_start(replay_clock *clock) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    clock->wall_ns = (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
    clock->monotonic_ns = (uint64_t)SECOND_NS;
}

/* "2026-11-22T12:00:00.250Z" */
static bool read_time(const char *text, int64_t *wall_ns) {
    struct tm at;
    memset(&at, 0, sizeof at);
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &at);
    int64_t ns = 0;
    if (rest != NULL && *rest == '.') {
        int64_t unit = SECOND_NS / 10;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10) {
            ns += (*rest - '0') * unit;
        }
    }
    if (rest == NULL || strcmp(rest, "Z") != 0) {
        return false;
    }
    *wall_ns = (int64_t)timegm(&at) * SECOND_NS + ns;
    return true;
}

/* Goes to the time of the line; one without a time comes right behind the last. */
static bool clock_follow(replay_clock *clock, json_object *in, bool first, aicp_error *err) {
    cli_text text;
    int64_t wall_ns = 0;
    if (!cli_get_text(in, "time", false, &text, err)) {
        return false;
    }
    if (text.data == NULL) {
        return true;
    }
    if (!read_time(text.data, &wall_ns)) {
        cli_fail(err, AICP_ERR_PARSE, "\"time\" must be like 2026-01-31T12:00:00Z");
        return false;
    }
    if (!first && wall_ns < clock->wall_ns) {
        cli_fail(err, AICP_ERR_INVALID, "\"time\" is before that of an earlier line");
        return false;
    }
    clock->monotonic_ns += first ? 0 : (uint64_t)(wall_ns - clock->wall_ns);
    clock->wall_ns = wall_ns;
    return true;
}

static aicp_gate_decision *ask(const replay_side *side, json_object *in, aicp_error *err) {
    aicp_gate_decision *decision = NULL;
    if (!cli_gate_fill(side->request, in, err) ||
        aicp_gate_check(side->gate, side->request, WAIT_NS, &decision, err) != AICP_OK) {
        return NULL;
    }
    return decision;
}

/* What the line says was used; else the prompt as counted and no answer. */
static bool read_usage(
    json_object *in, const aicp_gate_decision *decision, aicp_usage *usage, aicp_error *err) {
    json_object *told = NULL;
    *usage = (aicp_usage)AICP_USAGE_INIT;
    if (!cli_get_object(in, "usage", false, &told, err)) {
        return false;
    }
    if (told == NULL) {
        usage->prompt_tokens = aicp_gate_decision_input_tokens(decision);
        return true;
    }
    size_t len = 0;
    const char *text = json_object_to_json_string_length(told, JSON_C_TO_STRING_PLAIN, &len);
    return aicp_usage_parse(text, len, usage, err) == AICP_OK;
}

/* Books an allowed request, so that limits and budgets fill up as they did. */
static bool
book(const replay_side *side, json_object *in, aicp_gate_decision *decision, aicp_error *err) {
    aicp_usage usage;
    if (aicp_gate_decision_verdict(decision) != AICP_GATE_ALLOW) {
        return true;
    }
    return read_usage(in, decision, &usage, err) &&
           aicp_gate_settle(side->gate, decision, &usage, -1, NULL, err) == AICP_OK;
}

static json_object *told(const aicp_gate_decision *decision) {
    json_object *o = json_object_new_object();
    bool allowed = aicp_gate_decision_verdict(decision) == AICP_GATE_ALLOW;
    json_object_object_add(o, "verdict", json_object_new_string(allowed ? "allow" : "deny"));
    if (!allowed) {
        json_object_object_add(
            o, "step", json_object_new_string(aicp_gate_decision_step(decision)));
        json_object_object_add(
            o, "rule", json_object_new_string(aicp_gate_decision_rule(decision)));
        json_object_object_add(
            o, "message", json_object_new_string(aicp_gate_decision_message(decision)));
    }
    return o;
}

/* Whether the caller would see another outcome; counts it. */
static bool
compare(replay_run *run, const aicp_gate_decision *before, const aicp_gate_decision *after) {
    bool was = aicp_gate_decision_verdict(before) == AICP_GATE_ALLOW;
    bool is = aicp_gate_decision_verdict(after) == AICP_GATE_ALLOW;
    bool same_rule = strcmp(aicp_gate_decision_step(before), aicp_gate_decision_step(after)) == 0 &&
                     strcmp(aicp_gate_decision_rule(before), aicp_gate_decision_rule(after)) == 0;
    run->newly_denied += was && !is;
    run->newly_allowed += !was && is;
    run->otherwise += !was && !is && !same_rule;
    return was != is || !same_rule;
}

static bool replay_line(void *user, json_object *in, json_object *out, aicp_error *err) {
    replay_run *run = user;
    if (!clock_follow(&run->time, in, run->asked == 0, err)) {
        return false;
    }
    aicp_gate_decision *before = ask(&run->before, in, err);
    aicp_gate_decision *after = before != NULL ? ask(&run->after, in, err) : NULL;
    bool ok =
        after != NULL && book(&run->before, in, before, err) && book(&run->after, in, after, err);
    if (ok) {
        run->asked++;
        bool changed = compare(run, before, after);
        json_object_object_add(out, "changed", json_object_new_boolean(changed));
        json_object_object_add(out, "before", told(before));
        json_object_object_add(out, "after", told(after));
    }
    aicp_gate_decision_free(before);
    aicp_gate_decision_free(after);
    return ok;
}

static aicp_status
open_side(replay_side *side, const char *bundle, replay_clock *time, aicp_error *err) {
    const aicp_clock hook = {time, monotonic_now, wall_now};
    aicp_gate_options options = AICP_GATE_OPTIONS_INIT;
    options.bundle_path = bundle;
    options.clock = &hook;
    aicp_status status = aicp_gate_open(&options, &side->gate, err);
    status = status == AICP_OK ? aicp_gate_request_new(side->gate, &side->request, err) : status;
    if (status != AICP_OK) {
        cli_print_bundle_problem(stderr, bundle, err);
    }
    return status;
}

static void close_side(replay_side *side) {
    aicp_gate_request_free(side->request);
    aicp_gate_free(side->gate);
}

static int run_replay(const cli_args *args) {
    const char *bundle = cli_value(args, "bundle");
    const char *against = cli_value(args, "against");
    replay_run run;
    aicp_error err;
    if (bundle == NULL || against == NULL) {
        return cli_missing(args, bundle == NULL ? "bundle" : "against");
    }
    memset(&run, 0, sizeof run);
    aicp_error_clear(&err);
    clock_start(&run.time);
    aicp_status status = open_side(&run.before, bundle, &run.time, &err);
    status = status == AICP_OK ? open_side(&run.after, against, &run.time, &err) : status;
    int code = status == AICP_OK ? cli_each_line(args, replay_line, &run) : cli_exit_code(status);
    if (status == AICP_OK) {
        fprintf(
            stderr,
            "%zu requests: %zu newly denied, %zu newly allowed, %zu denied otherwise\n",
            run.asked,
            run.newly_denied,
            run.newly_allowed,
            run.otherwise);
        bool changes = run.newly_denied + run.newly_allowed + run.otherwise > 0;
        code = code == CLI_OK && changes ? CLI_NO : code;
    }
    close_side(&run.before);
    close_side(&run.after);
    return code;
}

static const cli_option replay_options[] = {
    {"bundle", "DIR", NULL, "folder of the rules in force (needed)"},
    {"against", "DIR", NULL, "folder of the rules to be tried (needed)"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_replay = {
    .noun = "replay",
    .operands = "[FILE...]",
    .summary = "Put recorded requests through two bundles and tell what changes",
    .details =
        "Input: lines of gate check, with \"time\" (2026-01-31T12:00:00Z, in order; limits and\n"
        "policies see that time) and \"usage\" (what was used; else the prompt alone). Each side\n"
        "books what it allows, in memory. Output: "
        "{\"changed\":bool,\"before\":{\"verdict\",\"step\","
        "\"rule\",\n\"message\"},\"after\":{...}} a line, the counts on standard error. Exit 1 "
        "when "
        "anything changes.",
    .options = replay_options,
    .run = run_replay,
};
