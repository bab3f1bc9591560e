/* All calls but the pass on the wire. */
#include "lib/budget/wire.h"

#define TEXT_MOST 64
#define REASON_MOST 1000

static void wire_any(aicpi_wire *w, int64_t *value) {
    aicpi_wire_i64(w, value, INT64_MIN, INT64_MAX);
}

static void
wire_borrowed(aicpi_wire *w, const char **data, size_t *len, size_t least, size_t most) {
    aicpi_slice text = aicpi_slice_of(*data ? *data : "", *data ? *len : 0);
    aicpi_wire_text(w, &text, least, most);
    *data = text.data;
    *len = text.len;
}

/* The values themselves are judged where an account is put. */
void aicpi_wire_put(aicpi_wire *w, aicpi_slice *id, aicp_ledger_account *a) {
    int32_t *percents = NULL;
    int64_t *amounts = NULL;
    aicpi_wire_text(w, id, 1, AICP_LEDGER_ACCOUNT_MAX);
    wire_any(w, &a->limit_nano);
    wire_borrowed(w, &a->duration, &a->duration_len, 0, TEXT_MOST);
    wire_borrowed(w, &a->timezone, &a->timezone_len, 0, TEXT_MOST);
    wire_borrowed(w, &a->reset_time, &a->reset_time_len, 0, TEXT_MOST);
    wire_any(w, &a->anchor_ns);
    aicpi_wire_i32(w, &a->align, INT32_MIN, INT32_MAX);
    aicpi_wire_i32(w, &a->on_unknown_price, INT32_MIN, INT32_MAX);
    wire_any(w, &a->temp_increase_nano);
    wire_any(w, &a->temp_until_ns);
    wire_any(w, &a->rollover_max_nano);
    aicpi_wire_count(w, &a->soft_percent_count, AICP_LEDGER_THRESHOLDS_MAX);
    percents = w->out ? NULL : aicpi_wire_make(w, a->soft_percent_count, sizeof *percents);
    for (size_t i = 0; i < a->soft_percent_count && !w->bad; i++) {
        int32_t v = w->out ? a->soft_percent[i] : 0;
        aicpi_wire_i32(w, percents ? &percents[i] : &v, INT32_MIN, INT32_MAX);
    }
    a->soft_percent = w->out ? a->soft_percent : percents;
    aicpi_wire_count(w, &a->soft_nano_count, AICP_LEDGER_THRESHOLDS_MAX);
    amounts = w->out ? NULL : aicpi_wire_make(w, a->soft_nano_count, sizeof *amounts);
    for (size_t i = 0; i < a->soft_nano_count && !w->bad; i++) {
        int64_t v = w->out ? a->soft_nano[i] : 0;
        wire_any(w, amounts ? &amounts[i] : &v);
    }
    a->soft_nano = w->out ? a->soft_nano : amounts;
    aicpi_wire_i32(w, &a->frozen, INT32_MIN, INT32_MAX);
}

void aicpi_wire_reading(aicpi_wire *w, aicpi_budget_reading *r) {
    const int64_t most = INT64_MAX / 2;
    aicpi_wire_bool(w, &r->found);
    aicpi_wire_i32(w, &r->rule.frozen, 0, 1);
    aicpi_wire_i64(w, &r->limit, AICP_LEDGER_UNLIMITED, most);
    aicpi_wire_i64(w, &r->row.seq, 0, INT64_MAX);
    wire_any(w, &r->row.start_ns);
    wire_any(w, &r->row.end_ns);
    aicpi_wire_i64(w, &r->row.spent, 0, most);
    aicpi_wire_i64(w, &r->row.held, 0, most);
}

void aicpi_wire_adjust(aicpi_wire *w, aicpi_slice *id, aicp_ledger_adjustment *a) {
    aicpi_wire_text(w, id, 1, AICP_LEDGER_ACCOUNT_MAX);
    wire_borrowed(w, &a->id, &a->id_len, 1, AICP_LEDGER_ID_MAX);
    wire_borrowed(w, &a->reason, &a->reason_len, 1, REASON_MOST);
    wire_any(w, &a->amount_nano);
    wire_any(w, &a->at_ns);
}

void aicpi_wire_recover(aicpi_wire *w, aicpi_budget_recovery *v) {
    aicpi_slice *names = NULL;
    int32_t flags = v->flags & FLAG_STORED_MASK;
    aicpi_wire_text(w, &v->id, 1, AICP_LEDGER_ID_MAX);
    aicpi_wire_count(w, &v->count, AICP_LEDGER_ACCOUNTS_MAX);
    names = w->out ? NULL : aicpi_wire_make(w, v->count, sizeof *names);
    for (size_t i = 0; i < v->count && !w->bad; i++) {
        aicpi_slice name = w->out ? v->accounts[i] : aicpi_slice_of("", 0);
        aicpi_wire_text(w, &name, 1, AICP_LEDGER_ACCOUNT_MAX);
        if (names) {
            w->bad = w->bad || (i > 0 && aicpi_slice_cmp(names[i - 1], name) >= 0);
            names[i] = name;
        }
    }
    v->accounts = w->out ? v->accounts : names;
    aicpi_wire_i64(w, &v->actual, 0, AICP_LEDGER_AMOUNT_MAX);
    wire_any(w, &v->reserved_at_ns);
    aicpi_wire_i32(w, &flags, 0, FLAG_STORED_MASK);
    v->flags = flags;
}

void aicpi_wire_recovered(aicpi_wire *w, aicpi_budget_recovery *v) {
    int32_t outcome = (int32_t)v->outcome;
    aicpi_wire_i32(w, &outcome, 0, AICP_ERR_CORRUPT);
    aicpi_wire_i64(w, &v->amount, 0, AICP_LEDGER_AMOUNT_MAX);
    aicpi_wire_i64(w, &v->state_before, 0, ROW_EXPIRED);
    v->outcome = (aicp_status)outcome;
}
