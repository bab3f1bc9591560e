/* Bundles and gates for the tests of the gate. */
#ifndef TESTS_UNIT_GATE_SUPPORT_H
#define TESTS_UNIT_GATE_SUPPORT_H

#include "aicp/aicp.h"
#include "unit/support.h"

/* A folder of its own below /tmp, removed with its files by gate_folder_remove. */
typedef struct gate_folder {
    char path[256];
} gate_folder;

gate_folder gate_folder_new(void);
void gate_folder_remove(const gate_folder *folder);
/* Writes one section; text NULL removes it. */
void gate_write(const gate_folder *folder, const char *file, const char *text);
/* Seals; the test fails when that fails. */
void gate_seal(const gate_folder *folder, const char *version);
/* The rules that most tests start from: see gate_support.c. Sealed as "v1". */
gate_folder gate_folder_standard(void);

typedef struct gate_fixture {
    gate_folder folder;
    test_clock *time; /* change it with test_clock_advance */
    aicp_gate *gate;
    aicp_gate_request *request;
} gate_fixture;

/* A gate over the standard bundle, in memory, with a clock that stands at 2026-11-22T12:00:00Z. */
gate_fixture gate_fixture_new(void);
void gate_fixture_free(gate_fixture *f);

/* Asks with the body for team and key; the decision is never NULL (waiting is allowed). */
aicp_gate_decision *gate_ask(gate_fixture *f, const char *team, const char *body);
/* A chat body with one user message. Static buffer. */
const char *gate_chat(const char *model, const char *content);

#endif
