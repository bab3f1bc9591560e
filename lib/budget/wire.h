/* Messages between a ledger whose store is behind a server, and that server. One function both
 * writes and reads each part, so that the two sides cannot differ: with `out` it writes, without it
 * reads from [at, end) and checks every field. */
#ifndef AICPI_BUDGET_WIRE_H
#define AICPI_BUDGET_WIRE_H

#include "lib/base/arena.h"
#include "lib/budget/budget_internal.h"

#define AICPI_WIRE_VERSION 1
#define AICPI_WIRE_MAX ((size_t)8 << 20) /* bytes of one message, before base64 */
#define AICPI_WIRE_ROWS 10000            /* rows, and likewise accounts, of one message */

/* What a message asks for. */
enum {
    WIRE_HELLO = 1, /* time */
    WIRE_NEWS,      /* numbers of the last put and recall */
    WIRE_PASS,
    WIRE_PUT,
    WIRE_STATUS,
    WIRE_ADJUST,
    WIRE_RECOVER,
    WIRE_REAP,
    WIRE_LEAVE,
    WIRE_LAST = WIRE_LEAVE
};

typedef struct aicpi_wire {
    aicpi_strbuf *out;
    const unsigned char *at;
    const unsigned char *end;
    aicpi_arena *arena; /* what is read lives here */
    bool bad;           /* malformed, or out of memory */
} aicpi_wire;

void aicpi_wire_i64(aicpi_wire *w, int64_t *value, int64_t least, int64_t most);
void aicpi_wire_i32(aicpi_wire *w, int32_t *value, int32_t least, int32_t most);
void aicpi_wire_u64(aicpi_wire *w, uint64_t *value, uint64_t most); /* most <= INT64_MAX */
void aicpi_wire_bool(aicpi_wire *w, bool *value);
/* Reading gives a view into the message; UTF-8 without NUL of least..most bytes. */
void aicpi_wire_text(aicpi_wire *w, aicpi_slice *text, size_t least, size_t most);
void aicpi_wire_bytes(aicpi_wire *w, aicpi_slice *bytes, size_t most);
/* A number of things that each take at least a byte. */
void aicpi_wire_count(aicpi_wire *w, size_t *count, size_t most);
/* Zeroed memory for what is read; NULL makes `bad`. */
void *aicpi_wire_make(aicpi_wire *w, size_t count, size_t size);
/* True when all has been read and nothing was wrong. */
bool aicpi_wire_end(const aicpi_wire *w);

void aicpi_wire_base64(aicpi_strbuf *out, const char *data, size_t len);

/* Status of the call and, unless it is OK, a text. */
void aicpi_wire_outcome(aicpi_wire *w, aicp_status *status, aicpi_slice *message);

/* wire_pass.c: a pass as it was collected, and what its transaction gave. The reader of a request
 * is a core that is otherwise empty. */
void aicpi_wire_pass(aicpi_wire *w, aicpi_budget_core *c);
void aicpi_wire_pass_result(aicpi_wire *w, aicpi_budget_core *c);

/* wire_calls.c: the other calls. */
void aicpi_wire_put(aicpi_wire *w, aicpi_slice *id, aicp_ledger_account *account);
void aicpi_wire_reading(aicpi_wire *w, aicpi_budget_reading *r);
void aicpi_wire_adjust(aicpi_wire *w, aicpi_slice *id, aicp_ledger_adjustment *a);
void aicpi_wire_recover(aicpi_wire *w, aicpi_budget_recovery *v);
void aicpi_wire_recovered(aicpi_wire *w, aicpi_budget_recovery *v);

#endif
