/* What the conformance tests share: files, archives, JSON cases, answers. */
#ifndef TESTS_CONFORMANCE_POLICY_CASES_H
#define TESTS_CONFORMANCE_POLICY_CASES_H

#include "aicp/policy.h"

#include "lib/base/json.h"

#define CASE_IDS_MOST 64
#define CASE_JSON_DEPTH 4096 /* a chain is as deep in JSON as it is long */

/* Reads a whole file under `folder`; the test fails when it cannot. Free the data with free(). */
aicpi_slice case_file(const char *folder, const char *name);
void case_free(aicpi_slice file);
/* Takes the next line off `rest`; false when there is none. */
bool case_next_line(aicpi_slice *rest, aicpi_slice *line);

/* Unpacks an archive of tests/data/policy into a new folder, whose path is returned (static), and
 * removes it with everything in it. */
const char *case_unpack(const char *archive);
void case_remove(const char *folder);

/* Whether two JSON texts say the same: the order of keys does not count. */
bool case_same_json(aicpi_slice a, aicpi_slice b);
/* Puts in the place of a set the one that its JSON, or its Cedar text, is read as. */
void case_reread(aicp_policy_set **set, int32_t format, uint32_t flags);

/* Expected answer to one request. */
typedef struct case_answer {
    bool allow;
    aicpi_slice reasons[CASE_IDS_MOST];
    size_t reason_count;
    aicpi_slice errors[CASE_IDS_MOST];
    size_t error_count;
} case_answer;

/* Reads an object's members that belong to an answer ("decision", "reason", "errors"); false for
 * another key, whose value is then still to be read. */
bool case_answer_member(aicpi_json *json, aicpi_slice key, case_answer *answer);
/* Whether the response gives exactly this answer; both sides as sets of ids. */
bool case_answer_matches(const aicp_policy_response *response, const case_answer *answer);

enum { CASE_PRINCIPAL, CASE_ACTION, CASE_RESOURCE };

/* Reads {"type":…,"id":…} into a part of the request; ERR_INVALID when it is no entity. */
aicp_status case_read_uid(aicpi_json *json, aicp_policy_request *request, int part);

#endif
