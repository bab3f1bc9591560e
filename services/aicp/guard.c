/* aicp guard: texts scanned by a guardrail profile, and the rules there are. */
#include "verbs.h"

#include "aicp/guardrail.h"

#include <string.h>

/* ---- scan ------------------------------------------------------------------------------------ */

typedef struct scan_run {
    aicp_guard_profile *profile;
    aicp_guard_result *result;
    aicp_guard_session *session;
    bool chars;
} scan_run;

static json_object *finding_json(const aicp_guard_finding *f, bool chars) {
    json_object *o = json_object_new_object();
    uint64_t start = chars ? f->char_start : f->start;
    uint64_t end = chars ? f->char_end : f->end;
    json_object_object_add(o, "type", json_object_new_string(f->type));
    json_object_object_add(o, "start", json_object_new_int64((int64_t)start));
    json_object_object_add(o, "end", json_object_new_int64((int64_t)end));
    json_object_object_add(o, "score", cli_json_fraction(f->score));
    json_object_object_add(
        o, "detector", json_object_new_string(aicp_guard_category_name(f->category)));
    json_object_object_add(o, "action", json_object_new_string(aicp_guard_action_name(f->action)));
    json_object_object_add(o, "rule", json_object_new_string(f->rule));
    return o;
}

static void put_result(const scan_run *run, json_object *out) {
    const aicp_guard_result *result = run->result;
    json_object *findings = json_object_new_array();
    json_object *text = NULL;
    for (size_t i = 0; i < aicp_guard_result_finding_count(result); i++) {
        const aicp_guard_finding *f = aicp_guard_result_finding(result, i);
        json_object_array_add(findings, finding_json(f, run->chars));
    }
    if (aicp_guard_result_rewritten(result)) {
        size_t len = 0;
        const char *data = aicp_guard_result_text(result, &len);
        text = data != NULL ? json_object_new_string_len(data, (int)len) : NULL;
    }
    const char *action = aicp_guard_action_name(aicp_guard_result_action(result));
    json_object_object_add(out, "action", json_object_new_string(action));
    json_object_object_add(out, "risk_score", cli_json_fraction(aicp_guard_result_risk(result)));
    json_object_object_add(out, "findings", findings);
    json_object_object_add(out, "text", text);
    if (aicp_guard_result_error(result) != AICP_OK) {
        const char *name = aicp_status_name(aicp_guard_result_error(result));
        json_object_object_add(out, "incomplete", json_object_new_string(name));
    }
}

static bool scan_line(void *user, json_object *in, json_object *out, aicp_error *err) {
    scan_run *run = user;
    json_object *id = NULL;
    cli_text text;
    if (json_object_object_get_ex(in, "id", &id)) {
        json_object_object_add(out, "id", json_object_get(id));
    }
    if (!cli_get_text(in, "text", true, &text, err)) {
        return false;
    }
    aicp_guard_scan_options how = AICP_GUARD_SCAN_OPTIONS_INIT;
    how.session = run->session;
    aicp_guard_session_reset(run->session);
    if (aicp_guard_scan(run->profile, text.data, text.len, &how, run->result, err) != AICP_OK) {
        return false;
    }
    put_result(run, out);
    return true;
}

/* Whether a list of names and "prefix*" patterns has `team`. */
static bool has_team(json_object *list, const char *team) {
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count; i++) {
        const char *pattern = json_object_get_string(json_object_array_get_idx(list, i));
        size_t len = pattern != NULL ? strlen(pattern) : 0;
        bool prefix = len > 0 && pattern[len - 1] == '*';
        if (len > 0 && (prefix ? strncmp(pattern, team, len - 1) : strcmp(pattern, team)) == 0) {
            return true;
        }
    }
    return false;
}

/* Name of the profile that a section of a bundle assigns to `team` (NULL: none named). */
static const char *assigned_profile(json_object *section, const char *team) {
    json_object *list = json_object_object_get(section, "assignments");
    const char *name = json_object_get_string(json_object_object_get(section, "default"));
    int64_t best = INT64_MIN;
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < count && team != NULL; i++) {
        json_object *entry = json_object_array_get_idx(list, i);
        json_object *match = json_object_object_get(entry, "match");
        int64_t priority = json_object_get_int64(json_object_object_get(entry, "priority"));
        bool only_team =
            json_object_is_type(match, json_type_object) && json_object_object_length(match) == 1;
        if (only_team && has_team(json_object_object_get(match, "team"), team) && priority > best) {
            best = priority;
            name = json_object_get_string(json_object_object_get(entry, "profile"));
        }
    }
    return name;
}

/* The profile in a file: the file itself, or one of a bundle's section with several. */
static bool find_profile(cli_text *text, const char *team, aicp_error *err) {
    json_object *section = json_tokener_parse(text->data);
    json_object *profiles = NULL;
    bool several = json_object_is_type(section, json_type_object) &&
                   json_object_object_get_ex(section, "profiles", &profiles) &&
                   json_object_is_type(profiles, json_type_array);
    bool found = !several;
    const char *name = several ? assigned_profile(section, team) : NULL;
    for (size_t i = 0; several && !found && i < json_object_array_length(profiles); i++) {
        json_object *profile = json_object_array_get_idx(profiles, i);
        const char *own = json_object_get_string(json_object_object_get(profile, "name"));
        if (name != NULL && own != NULL && strcmp(own, name) == 0) {
            const char *json = json_object_to_json_string_ext(profile, JSON_C_TO_STRING_PLAIN);
            size_t len = strlen(json);
            cli_text_free(text);
            text->data = cli_alloc(len + 1);
            memcpy(text->data, json, len);
            text->len = len;
            found = true;
        }
    }
    if (!found) {
        cli_fail(err, AICP_ERR_NOT_FOUND, "there is no profile \"%s\"", name != NULL ? name : "");
    }
    json_object_put(section);
    return found;
}

static int run_scan(const cli_args *args) {
    const char *path = cli_value(args, "config");
    scan_run job = {NULL, NULL, NULL, strcmp(cli_value_or(args, "offsets", "bytes"), "chars") == 0};
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (path == NULL) {
        return cli_missing(args, "config");
    }
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    aicp_status status = AICP_ERR_NOT_FOUND;
    if (find_profile(&text, cli_value(args, "team"), &err)) {
        status = aicp_guard_profile_parse(text.data, text.len, NULL, &job.profile, &err);
    }
    cli_text_free(&text);
    int code = CLI_NO;
    if (status != AICP_OK) {
        cli_print_problem(stderr, path, &err);
    } else if (
        aicp_guard_result_new(NULL, &job.result, &err) != AICP_OK ||
        aicp_guard_session_new(NULL, &job.session, &err) != AICP_OK) {
        cli_print_problem(stderr, "aicp guard scan", &err);
        code = CLI_ENV;
    } else {
        code = cli_each_line(args, scan_line, &job);
    }
    aicp_guard_session_free(job.session);
    aicp_guard_result_free(job.result);
    aicp_guard_profile_free(job.profile);
    return code;
}

static const cli_option scan_options[] = {
    {"config", "FILE", NULL, "guardrail profile, or a bundle's guardrails.json (needed)"},
    {"team", "NAME", NULL, "take the profile assigned to this team"},
    {"offsets", "UNIT", "bytes|chars", "unit of start and end; default bytes"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_guard_scan = {
    .noun = "guard",
    .verb = "scan",
    .operands = "[FILE...]",
    .summary = "Scan texts for personal data, secrets, injections",
    .details =
        "Input: {\"id\",\"text\"} a line. Output: {\"id\",\"action\",\"risk_score\","
        "\"findings\":[{\"type\",\n\"start\",\"end\",\"score\",\"detector\",\"action\",\"rule\"}],"
        "\"text\"}, text being the rewritten one or null.",
    .options = scan_options,
    .run = run_scan,
};

/* ---- rules ----------------------------------------------------------------------------------- */

static json_object *rule_json(const aicp_guard_rule *rule) {
    json_object *o = json_object_new_object();
    json_object_object_add(o, "id", json_object_new_string(rule->id));
    json_object_object_add(o, "type", json_object_new_string(rule->type));
    json_object_object_add(
        o, "detector", json_object_new_string(aicp_guard_category_name(rule->category)));
    json_object_object_add(o, "region", json_object_new_string(rule->region));
    json_object_object_add(o, "validation", json_object_new_string(rule->validation));
    json_object_object_add(
        o, "action", json_object_new_string(aicp_guard_action_name(rule->action)));
    json_object_object_add(o, "score", cli_json_fraction(rule->score));
    json_object_object_add(o, "description", json_object_new_string(rule->description));
    return o;
}

static int run_rules(const cli_args *args) {
    bool people = cli_is_terminal() && cli_value(args, "json") == NULL;
    if (people) {
        printf(
            "%-28s %-24s %-16s %-6s %-9s %s\n",
            "RULE",
            "TYPE",
            "DETECTOR",
            "REGION",
            "ACTION",
            "VALIDATION");
    }
    for (size_t i = 0; i < aicp_guard_rule_count(); i++) {
        const aicp_guard_rule *r = aicp_guard_rule_at(i);
        if (people) {
            printf(
                "%-28s %-24s %-16s %-6s %-9s %s\n",
                r->id,
                r->type,
                aicp_guard_category_name(r->category),
                r->region,
                aicp_guard_action_name(r->action),
                r->validation);
        } else {
            cli_put_line(rule_json(r));
        }
    }
    return CLI_OK;
}

static const cli_option rules_options[] = {CLI_COMMON_OPTIONS};

const cli_verb cli_guard_rules = {
    .noun = "guard",
    .verb = "rules",
    .summary = "List every rule of the guardrail",
    .options = rules_options,
    .run = run_rules,
};
