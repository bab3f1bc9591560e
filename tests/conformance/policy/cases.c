#include "conformance/policy/cases.h"

#include "lib/base/file.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

aicpi_slice case_file(const char *folder, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    cr_assert(f, "cannot open %s", path);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    char *data = malloc((size_t)size + 1);
    cr_assert(data && fread(data, 1, (size_t)size, f) == (size_t)size, "cannot read %s", path);
    fclose(f);
    data[size] = '\0';
    return aicpi_slice_of(data, (size_t)size);
}

void case_free(aicpi_slice file) {
    free((char *)file.data);
}

const char *case_unpack(const char *archive) {
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/aicp-policy-XXXXXX");
    cr_assert(mkdtemp(folder), "cannot make a folder in /tmp");
    char command[2048];
    snprintf(
        command,
        sizeof command,
        "tar -xzf '%s/policy/%s' -C '%s'",
        AICP_TEST_DATA,
        archive,
        folder);
    cr_assert_eq(system(command), 0, "cannot unpack %s", archive);
    return folder;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void case_remove(const char *folder) {
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void read_ids(aicpi_json *json, aicpi_slice *ids, size_t *count) {
    *count = 0;
    if (!aicpi_json_array(json)) {
        return;
    }
    while (aicpi_json_element(json)) {
        cr_assert_lt(*count, CASE_IDS_MOST);
        aicpi_json_string(json, &ids[(*count)++]);
    }
}

bool case_answer_member(aicpi_json *json, aicpi_slice key, case_answer *answer) {
    if (aicpi_slice_is(key, "decision")) {
        aicpi_slice text;
        if (aicpi_json_string(json, &text)) {
            answer->allow = aicpi_slice_is(text, "allow");
        }
    } else if (aicpi_slice_is(key, "reason")) {
        read_ids(json, answer->reasons, &answer->reason_count);
    } else if (aicpi_slice_is(key, "errors")) {
        read_ids(json, answer->errors, &answer->error_count);
    } else {
        return false;
    }
    return true;
}

static bool has_id(const aicpi_slice *ids, size_t count, const char *id) {
    for (size_t i = 0; i < count; i++) {
        if (aicpi_slice_is(ids[i], id)) {
            return true;
        }
    }
    return false;
}

bool case_answer_matches(const aicp_policy_response *response, const case_answer *answer) {
    size_t reasons = aicp_policy_response_reason_count(response);
    size_t errors = aicp_policy_response_error_count(response);
    bool allow = aicp_policy_response_decision(response) == AICP_POLICY_ALLOW;
    /* Each id stands at most once on either side, so equal counts and inclusion mean equal sets. */
    if (allow != answer->allow || reasons != answer->reason_count ||
        errors != answer->error_count) {
        return false;
    }
    for (size_t i = 0; i < reasons; i++) {
        if (!has_id(answer->reasons, reasons, aicp_policy_response_reason_id(response, i))) {
            return false;
        }
    }
    for (size_t i = 0; i < errors; i++) {
        if (!has_id(answer->errors, errors, aicp_policy_response_error_id(response, i))) {
            return false;
        }
    }
    return true;
}

aicp_status case_read_uid(aicpi_json *json, aicp_policy_request *request, int part) {
    aicpi_slice type = {0};
    aicpi_slice id = {0};
    if (aicpi_json_object(json)) {
        for (aicpi_slice key; aicpi_json_member(json, &key);) {
            if (aicpi_slice_is(key, "type")) {
                aicpi_json_string(json, &type);
            } else if (aicpi_slice_is(key, "id")) {
                aicpi_json_string(json, &id);
            } else {
                aicpi_json_skip(json);
            }
        }
    }
    switch (part) {
    case CASE_PRINCIPAL:
        return aicp_policy_request_set_principal(
            request, type.data, type.len, id.data, id.len, NULL);
    case CASE_ACTION:
        return aicp_policy_request_set_action(request, type.data, type.len, id.data, id.len, NULL);
    default:
        return aicp_policy_request_set_resource(
            request, type.data, type.len, id.data, id.len, NULL);
    }
}
