/* aicp policy: Cedar policies checked and asked. */
#include "verbs.h"

#include "aicp/policy.h"

#include <stdlib.h>
#include <string.h>

/* ---- check ----------------------------------------------------------------------------------- */

static json_object *problem_json(const char *file, const aicp_error *err) {
    json_object *o = json_object_new_object();
    json_object_object_add(o, "file", json_object_new_string(file));
    json_object_object_add(o, "line", json_object_new_int64(err->line));
    json_object_object_add(o, "column", json_object_new_int64(err->column));
    json_object_object_add(o, "offset", json_object_new_int64((int64_t)err->offset));
    json_object_object_add(o, "severity", json_object_new_string("error"));
    json_object_object_add(o, "code", json_object_new_string(aicp_status_name(err->code)));
    json_object_object_add(o, "message", json_object_new_string(err->message));
    return o;
}

/* Exit code for one file; adds what is wrong to `problems` or prints it. */
static int check_file(const char *file, json_object *problems) {
    cli_text text;
    if (!cli_read_file(file, &text)) {
        return CLI_ENV;
    }
    aicp_error err;
    aicp_error_clear(&err);
    aicp_policy_set *set = NULL;
    aicp_status status = aicp_policy_set_parse(text.data, text.len, NULL, &set, &err);
    aicp_policy_set_free(set);
    cli_text_free(&text);
    if (status == AICP_OK) {
        return CLI_OK;
    }
    if (problems != NULL) {
        json_object_array_add(problems, problem_json(file, &err));
    } else {
        cli_print_problem(stdout, file, &err);
    }
    return CLI_NO;
}

static int run_check(const cli_args *args) {
    if (args->operand_count == 0) {
        fputs("aicp policy check: name a file, or - for standard input; see --help\n", stderr);
        return CLI_USAGE;
    }
    json_object *problems = cli_value(args, "json") != NULL ? json_object_new_array() : NULL;
    int worst = CLI_OK;
    for (size_t i = 0; i < args->operand_count; i++) {
        int code = check_file(args->operands[i], problems);
        worst = code > worst ? code : worst;
    }
    if (problems != NULL) {
        cli_put_line(problems);
    }
    return worst;
}

static const cli_option check_options[] = {CLI_COMMON_OPTIONS};

const cli_verb cli_policy_check = {
    .noun = "policy",
    .verb = "check",
    .operands = "FILE...",
    .summary = "Check that Cedar policies can be read",
    .details =
        "Prints file:line:column: error: ... for each file that cannot; with --json one list.",
    .options = check_options,
    .run = run_check,
};

/* ---- authorize ------------------------------------------------------------------------------- */

typedef struct authorize_run {
    aicp_policy_set *set;
    aicp_policy_entities *entities;
    aicp_policy_request *request;
    aicp_policy_response *response;
} authorize_run;

static size_t put_utf8(char *out, uint32_t c) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* Decodes `u{1F600}` or `x41` at `at` (behind the backslash); bytes read, 0 when malformed. */
static size_t take_code_point(const char *at, const char *end, uint32_t *c) {
    bool braces = at[0] == 'u';
    const char *digit = at + (braces ? 2 : 1);
    const char *stop = braces ? digit : at + 3;
    if (braces && (end - at < 3 || at[1] != '{')) {
        return 0;
    }
    while (braces && stop < end && *stop != '}') {
        stop++;
    }
    if (stop > end || (braces && stop == end) || stop == digit || stop - digit > 6) {
        return 0;
    }
    *c = 0;
    for (; digit < stop; digit++) {
        const char *hex = "0123456789abcdef";
        const char *found = *digit != '\0' ? strchr(hex, *digit | 0x20) : NULL;
        if (found == NULL) {
            return 0;
        }
        *c = *c * 16 + (uint32_t)(found - hex);
    }
    if (*c > 0x10FFFF || (*c >= 0xD800 && *c < 0xE000)) {
        return 0;
    }
    return (size_t)(stop - at) + (braces ? 1 : 0);
}

/* Decodes the inside of a Cedar string literal in place; its length, or SIZE_MAX. */
static size_t decode_string(char *text, size_t len) {
    static const char plain[][2] = {
        {'n', '\n'},
        {'r', '\r'},
        {'t', '\t'},
        {'0', '\0'},
        {'\\', '\\'},
        {'"', '"'},
        {'\'', '\''},
        {'*', '*'}};
    const char *at = text;
    const char *end = text + len;
    char *out = text;
    while (at < end) {
        if (*at != '\\') {
            if (*at == '"') {
                return SIZE_MAX;
            }
            *out++ = *at++;
            continue;
        }
        at++;
        size_t i = 0;
        while (at < end && i < sizeof plain / sizeof plain[0] && plain[i][0] != *at) {
            i++;
        }
        uint32_t c = 0;
        size_t used = at < end && i < sizeof plain / sizeof plain[0] ? 1 : 0;
        if (used == 1) {
            *out++ = plain[i][1];
        } else if (at < end && (*at == 'u' || *at == 'x')) {
            used = take_code_point(at, end, &c);
            out += used > 0 ? put_utf8(out, c) : 0;
        }
        if (used == 0) {
            return SIZE_MAX;
        }
        at += used;
    }
    return (size_t)(out - text);
}

typedef aicp_status set_uid_fn(
    aicp_policy_request *request,
    const char *type,
    size_t type_len,
    const char *id,
    size_t id_len,
    aicp_error *err);

/* Takes `Type::"id"`. */
static bool set_uid_text(
    authorize_run *run, json_object *value, const char *name, set_uid_fn *set, aicp_error *err) {
    size_t len = (size_t)json_object_get_string_len(value);
    const char *text = json_object_get_string(value);
    const char *quote = strstr(text, "::\"");
    if (quote == NULL || len < 4 || text[len - 1] != '"' || quote + 3 > text + len - 1) {
        cli_fail(err, AICP_ERR_INVALID, "\"%s\" must be Type::\"id\"", name);
        return false;
    }
    size_t id_len = (size_t)(text + len - 1 - (quote + 3));
    char *id = cli_alloc(id_len);
    memcpy(id, quote + 3, id_len);
    size_t decoded = decode_string(id, id_len);
    bool ok = decoded != SIZE_MAX;
    if (!ok) {
        cli_fail(err, AICP_ERR_PARSE, "\"%s\" has a malformed escape", name);
    }
    ok = ok && set(run->request, text, (size_t)(quote - text), id, decoded, err) == AICP_OK;
    free(id);
    return ok;
}

/* Takes an entity as {"type", "id"}, {"__entity": {...}} or Type::"id". */
static bool
set_uid(authorize_run *run, json_object *in, const char *name, set_uid_fn *set, aicp_error *err) {
    json_object *value = NULL;
    json_object *inner = NULL;
    cli_text type;
    cli_text id;
    if (!json_object_object_get_ex(in, name, &value) || value == NULL) {
        cli_fail(err, AICP_ERR_INVALID, "\"%s\" is missing", name);
        return false;
    }
    if (json_object_is_type(value, json_type_string)) {
        return set_uid_text(run, value, name, set, err);
    }
    if (!json_object_is_type(value, json_type_object)) {
        cli_fail(err, AICP_ERR_INVALID, "\"%s\" must be an object or Type::\"id\"", name);
        return false;
    }
    if (json_object_object_get_ex(value, "__entity", &inner) &&
        json_object_is_type(inner, json_type_object)) {
        value = inner;
    }
    return cli_get_text(value, "type", true, &type, err) &&
           cli_get_text(value, "id", true, &id, err) &&
           set(run->request, type.data, type.len, id.data, id.len, err) == AICP_OK;
}

static void put_answer(const aicp_policy_response *response, json_object *out) {
    bool allowed = aicp_policy_response_decision(response) == AICP_POLICY_ALLOW;
    json_object *reasons = json_object_new_array();
    json_object *errors = json_object_new_array();
    for (size_t i = 0; i < aicp_policy_response_reason_count(response); i++) {
        const char *id = aicp_policy_response_reason_id(response, i);
        json_object_array_add(reasons, json_object_new_string(id));
    }
    for (size_t i = 0; i < aicp_policy_response_error_count(response); i++) {
        json_object *e = json_object_new_object();
        const char *id = aicp_policy_response_error_id(response, i);
        const char *message = aicp_policy_response_error_message(response, i);
        json_object_object_add(e, "policy", json_object_new_string(id));
        json_object_object_add(e, "message", json_object_new_string(message));
        json_object_array_add(errors, e);
    }
    json_object_object_add(out, "decision", json_object_new_string(allowed ? "allow" : "deny"));
    json_object_object_add(out, "reasons", reasons);
    json_object_object_add(out, "errors", errors);
}

static bool authorize_line(void *user, json_object *in, json_object *out, aicp_error *err) {
    authorize_run *run = user;
    json_object *context = NULL;
    aicp_policy_request_reset(run->request);
    if (!set_uid(run, in, "principal", aicp_policy_request_set_principal, err) ||
        !set_uid(run, in, "action", aicp_policy_request_set_action, err) ||
        !set_uid(run, in, "resource", aicp_policy_request_set_resource, err) ||
        !cli_get_object(in, "context", false, &context, err)) {
        return false;
    }
    if (context != NULL) {
        size_t len = 0;
        const char *text = json_object_to_json_string_length(
            context, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
        if (aicp_policy_request_set_context_json(run->request, text, len, err) != AICP_OK) {
            return false;
        }
    }
    if (aicp_policy_authorize(run->set, run->entities, run->request, 0, run->response, err) !=
        AICP_OK) {
        return false;
    }
    put_answer(run->response, out);
    return true;
}

static int load_policies(const cli_args *args, authorize_run *run) {
    const char *path = cli_value(args, "policies");
    aicp_policy_set_options options = AICP_POLICY_SET_OPTIONS_INIT;
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (cli_value(args, "id-from-annotation") != NULL) {
        options.flags = AICP_POLICY_ID_FROM_ANNOTATION;
    }
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    aicp_status status = aicp_policy_set_parse(text.data, text.len, &options, &run->set, &err);
    cli_text_free(&text);
    const char *links = cli_value(args, "links");
    if (status == AICP_OK && links != NULL) {
        if (!cli_read_file(links, &text)) {
            return CLI_ENV;
        }
        path = links;
        aicp_policy_set *linked = NULL;
        status = aicp_policy_set_link(run->set, text.data, text.len, &linked, &err);
        cli_text_free(&text);
        if (status == AICP_OK) {
            aicp_policy_set_free(run->set);
            run->set = linked;
        }
    }
    if (status != AICP_OK) {
        cli_print_problem(stderr, path, &err);
    }
    return status == AICP_OK ? CLI_OK : CLI_NO;
}

static int load_entities(const cli_args *args, authorize_run *run) {
    const char *path = cli_value(args, "entities");
    cli_text text;
    aicp_error err;
    aicp_error_clear(&err);
    if (path == NULL) {
        return CLI_OK;
    }
    if (!cli_read_file(path, &text)) {
        return CLI_ENV;
    }
    aicp_status status =
        aicp_policy_entities_parse(text.data, text.len, NULL, &run->entities, &err);
    cli_text_free(&text);
    if (status != AICP_OK) {
        cli_print_problem(stderr, path, &err);
    }
    return status == AICP_OK ? CLI_OK : CLI_NO;
}

static int run_authorize(const cli_args *args) {
    authorize_run run = {NULL, NULL, NULL, NULL};
    aicp_error err;
    if (cli_value(args, "policies") == NULL) {
        return cli_missing(args, "policies");
    }
    int code = load_policies(args, &run);
    code = code == CLI_OK ? load_entities(args, &run) : code;
    if (code == CLI_OK && (aicp_policy_request_new(NULL, &run.request, &err) != AICP_OK ||
                           aicp_policy_response_new(NULL, &run.response, &err) != AICP_OK)) {
        code = CLI_ENV;
    }
    code = code == CLI_OK ? cli_each_line(args, authorize_line, &run) : code;
    aicp_policy_response_free(run.response);
    aicp_policy_request_free(run.request);
    aicp_policy_entities_free(run.entities);
    aicp_policy_set_free(run.set);
    return code;
}

static const cli_option authorize_options[] = {
    {"policies", "FILE", NULL, "Cedar policies (needed)"},
    {"entities", "FILE", NULL, "entities as JSON"},
    {"links", "FILE", NULL, "links of templates as JSON"},
    {"id-from-annotation", NULL, NULL, "@id(\"...\") is the policy's id"},
    CLI_COMMON_OPTIONS};

const cli_verb cli_policy_authorize = {
    .noun = "policy",
    .verb = "authorize",
    .operands = "[FILE...]",
    .summary = "Ask Cedar policies, one request a line",
    .details = "Input: {\"principal\":{\"type\":\"User\",\"id\":\"a\"},\"action\":...,"
               "\"resource\":...,\"context\":{...}};\nentities may also stand as Type::\"id\". "
               "Output: {\"decision\":\"allow\"|\"deny\",\"reasons\":[ids],\n"
               "\"errors\":[{\"policy\",\"message\"}]}.",
    .options = authorize_options,
    .run = run_authorize,
};
