#include "unit/gate/gate_support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

gate_folder gate_folder_new(void) {
    gate_folder folder = {"/tmp/aicp-gate-XXXXXX"};
    cr_assert_not_null(mkdtemp(folder.path));
    return folder;
}

void gate_folder_remove(const gate_folder *folder) {
    DIR *dir = opendir(folder->path);
    cr_assert_not_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder->path, entry->d_name);
        if (entry->d_name[0] != '.') {
            unlink(path);
        }
    }
    closedir(dir);
    rmdir(folder->path);
}

void gate_write(const gate_folder *folder, const char *file, const char *text) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder->path, file);
    if (!text) {
        unlink(path);
        return;
    }
    FILE *f = fopen(path, "wb");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

void gate_seal(const gate_folder *folder, const char *version) {
    aicp_error err = {0};
    cr_assert_eq(
        aicp_bundle_seal(folder->path, version, &err),
        AICP_OK,
        "%s:%u:%u",
        err.message,
        err.line,
        err.column);
}

static const char policies[] =
    "@id(\"all\") permit (principal, action, resource);\n"
    "@id(\"red-no-gpt5\") @reason(\"team red may not use gpt-5\") @advice(\"use gpt-4o-mini\")\n"
    "forbid (principal in AICP::Team::\"red\", action, resource == AICP::Model::\"gpt-5\");\n";

static const char limits[] =
    "[{\"id\":\"five\",\"kind\":\"requests\",\"limit\":5,\"window\":\"1m\",\"per\":[\"team\"],"
    "\"match\":{\"team\":[\"limited\"]}},"
    "{\"id\":\"two-at-once\",\"kind\":\"concurrency\",\"limit\":2,\"per\":[\"team\"],"
    "\"match\":{\"team\":[\"parallel\"]}}]";

/* A busy machine must not end a scan: the time budget is a minute. */
static const char guardrails[] =
    "{\"default\":\"standard\",\"profiles\":["
    "{\"name\":\"standard\",\"timeout_ms\":60000,\"pii\":{\"action\":\"mask\"}},"
    "{\"name\":\"restore\",\"timeout_ms\":60000,\"pii\":{\"action\":\"anonymize\"}},"
    "{\"name\":\"strict\",\"timeout_ms\":60000,\"pii\":{\"action\":\"block\"}}],"
    "\"assignments\":[{\"match\":{\"team\":[\"restore\"]},\"profile\":\"restore\"},"
    "{\"match\":{\"team\":[\"strict\"]},\"profile\":\"strict\"}]}";

static const char prices[] =
    "{\"gpt-4o\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"max_output_tokens\":16384,"
    "\"input_cost_per_token\":2.5e-06,\"output_cost_per_token\":1e-05},"
    "\"gpt-4o-mini\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"max_output_tokens\":"
    "16384,"
    "\"input_cost_per_token\":1.5e-07,\"output_cost_per_token\":6e-07},"
    "\"gpt-5\":{\"litellm_provider\":\"openai\",\"mode\":\"chat\",\"max_output_tokens\":128000,"
    "\"input_cost_per_token\":1.25e-06,\"output_cost_per_token\":1e-05}}";

static const char accounts[] =
    "[{\"id\":\"team\",\"per\":[\"team\"],\"hard\":\"100\",\"duration\":\"1mo\"},"
    "{\"id\":\"poor\",\"match\":{\"team\":[\"poor\"]},\"hard\":\"0.002\",\"duration\":\"1mo\"}]";

static const char routes[] = "{\"aliases\":{\"fast\":\"gpt-4o-mini\"},"
                             "\"redirects\":[{\"id\":\"half\",\"match\":{\"team\":[\"ab\"]},\"to\":"
                             "\"gpt-4o\",\"percent\":50}]}";

gate_folder gate_folder_standard(void) {
    gate_folder folder = gate_folder_new();
    gate_write(&folder, "policies.cedar", policies);
    gate_write(&folder, "limits.json", limits);
    gate_write(&folder, "guardrails.json", guardrails);
    gate_write(&folder, "prices.json", prices);
    gate_write(&folder, "accounts.json", accounts);
    gate_write(&folder, "routes.json", routes);
    gate_seal(&folder, "v1");
    return folder;
}

gate_fixture gate_fixture_new(void) {
    gate_fixture f = {.folder = gate_folder_standard()};
    f.time = malloc(sizeof *f.time);
    cr_assert_not_null(f.time);
    *f.time = (test_clock){UINT64_C(1000000000000), INT64_C(1795348800) * 1000000000};
    aicp_clock hook = test_clock_hook(f.time);
    aicp_gate_options options = AICP_GATE_OPTIONS_INIT;
    aicp_error err = {0};
    options.bundle_path = f.folder.path;
    options.clock = &hook;
    cr_assert_eq(aicp_gate_open(&options, &f.gate, &err), AICP_OK, "%s", err.message);
    cr_assert_eq(aicp_gate_request_new(f.gate, &f.request, &err), AICP_OK, "%s", err.message);
    return f;
}

void gate_fixture_free(gate_fixture *f) {
    aicp_gate_request_free(f->request);
    aicp_gate_free(f->gate);
    free(f->time);
    gate_folder_remove(&f->folder);
}

aicp_gate_decision *gate_ask(gate_fixture *f, const char *team, const char *body) {
    aicp_error err = {0};
    aicp_gate_decision *d = NULL;
    aicp_gate_request_reset(f->request);
    cr_assert_eq(aicp_gate_request_set_body(f->request, body, strlen(body), &err), AICP_OK);
    cr_assert_eq(
        aicp_gate_request_set(f->request, AICP_GATE_TEAM, team, strlen(team), &err), AICP_OK);
    cr_assert_eq(aicp_gate_request_set(f->request, AICP_GATE_KEY, "key-1", 5, &err), AICP_OK);
    cr_assert_eq(
        aicp_gate_check(f->gate, f->request, 2000000000, &d, &err), AICP_OK, "%s", err.message);
    cr_assert_not_null(d);
    return d;
}

const char *gate_chat(const char *model, const char *content) {
    static char body[65536];
    snprintf(
        body,
        sizeof body,
        "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}",
        model,
        content);
    return body;
}
