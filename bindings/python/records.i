/* Structures of the public headers that Python gives or gets as dictionaries. A test compares these
 * tables with the headers. */

/* A structure of options or figures given by the caller: a dict of what is not default, or None. */
%define AICP_RECORD_IN(TYPE, NAME, INIT)
%ignore TYPE;
%ignore TYPE##_init;
%typemap(in) const TYPE *NAME (TYPE record = INIT) {
    if ($input != Py_None && py_record_fill($input, TYPE##_fields, &record) != 0) {
        SWIG_fail;
    }
    $1 = &record;
}
%typemap(check) const TYPE *NAME "";
%typemap(argout) const TYPE *NAME "";
%typemap(freearg) const TYPE *NAME {
    py_record_release(TYPE##_fields, &record$argnum);
}
%enddef

/* A structure that the library fills: a dict in the result. */
%define AICP_RECORD_OUT(TYPE, NAME, INIT)
%ignore TYPE;
%ignore TYPE##_init;
%typemap(in, numinputs=0) TYPE *NAME (TYPE record = INIT) {
    $1 = &record;
}
%typemap(check) TYPE *NAME "";
%typemap(argout) TYPE *NAME {
    $result = SWIG_Python_AppendOutput($result, py_record_dict(TYPE##_fields, $1));
}
%enddef

%{
#define TABLE(type) static const py_field type##_fields[]

#define T aicp_policy_set_options
TABLE(aicp_policy_set_options) = {F(T, flags), F(T, max_depth), F(T, max_bytes), FEND};
#undef T
#define T aicp_policy_format_options
TABLE(aicp_policy_format_options) = {
    F(T, line_width), F(T, indent), F(T, max_depth), F(T, max_bytes), FEND};
#undef T
#define T aicp_policy_schema_options
TABLE(aicp_policy_schema_options) = {F(T, max_depth), F(T, max_bytes), FEND};
#undef T
#define T aicp_policy_validate_options
TABLE(aicp_policy_validate_options) = {F(T, flags), F(T, max_findings), FEND};
#undef T
#define T aicp_policy_entities_options
TABLE(aicp_policy_entities_options) = {
    F(T, max_bytes), F(T, max_entities), F(T, max_ancestors),
    FH(T, schema, SWIGTYPE_p_aicp_policy_schema), FEND};
#undef T
#define T aicp_policy_batch_options
TABLE(aicp_policy_batch_options) = {
    F(T, flags), F(T, first_line), FH(T, schema, SWIGTYPE_p_aicp_policy_schema), FEND};
#undef T

#define T aicp_token_count
TABLE(aicp_token_count) = {
    F(T, low), F(T, tokens), F(T, high), F(T, text), F(T, overhead), F(T, tools), F(T, images),
    F(T, quality), F(T, factor_permille), FEND};
#undef T
#define T aicp_price_table_options
TABLE(aicp_price_table_options) = {
    FH(T, base, SWIGTYPE_p_aicp_price_table), FH(T, models, SWIGTYPE_p_aicp_model_list),
    F(T, valid_from_ns), F(T, version), FEND};
#undef T
#define T aicp_cost_options
TABLE(aicp_cost_options) = {
    F(T, tier), F(T, uplift), F(T, wall_ns), F(T, output_p50), F(T, output_p95), FEND};
#undef T
#define T aicp_cost_quote
TABLE(aicp_cost_quote) = {
    FR(T, input, aicp_token_count_fields), F(T, output_cap), F(T, output_p50), F(T, output_p95),
    F(T, answers), F(T, cost_input_nano), F(T, cost_expected_nano), F(T, cost_p95_nano),
    F(T, cost_max_nano), F(T, expected_from_history), FEND};
#undef T
#define T aicp_usage
TABLE(aicp_usage) = {
    F(T, prompt_tokens), F(T, completion_tokens), F(T, cache_read_tokens),
    F(T, cache_write_tokens), F(T, cache_write_1h_tokens), F(T, prompt_audio_tokens),
    F(T, prompt_image_tokens), F(T, prompt_video_tokens), F(T, reasoning_tokens),
    F(T, completion_audio_tokens), F(T, completion_image_tokens), F(T, prompt_characters),
    F(T, completion_characters), F(T, input_milliseconds), F(T, output_milliseconds),
    F(T, queries), F(T, pages), F(T, input_images), F(T, output_images), F(T, output_pixels), FEND};
#undef T
#define T aicp_cost
TABLE(aicp_cost) = {
    F(T, total_nano), FA(T, part_nano), FA(T, quantity), FA(T, price_femto), FEND};
#undef T

#define T aicp_limit_rules_options
TABLE(aicp_limit_rules_options) = {F(T, max_rules), FEND};
#undef T
#define T aicp_limiter_options
TABLE(aicp_limiter_options) = {F(T, slot_ttl_ns), F(T, shards), F(T, max_keys), FEND};
#undef T
#define T aicp_limit_rule_info
TABLE(aicp_limit_rule_info) = {
    F(T, kind), F(T, algorithm), F(T, limit), F(T, burst), F(T, window_ns), F(T, shared),
    F(T, exact), FEND};
#undef T
#define T aicp_limit_result
TABLE(aicp_limit_result) = {
    F(T, allowed), F(T, rule), F(T, kind), F(T, degraded), F(T, estimated), F(T, overflow),
    F(T, limit), F(T, remaining), F(T, reset_ns), F(T, retry_after_ns), FEND};
#undef T
#define T aicp_limit_state
TABLE(aicp_limit_state) = {
    F(T, rule), F(T, kind), F(T, limit), F(T, remaining), F(T, reset_ns), FEND};
#undef T
#define T aicp_limiter_stats
TABLE(aicp_limiter_stats) = {
    F(T, keys), F(T, allowed), F(T, denied), F(T, overflowed), F(T, evicted), F(T, clock_back),
    F(T, store_calls), F(T, store_failures), FEND};
#undef T
#define T aicp_limit_headers
TABLE(aicp_limit_headers) = {
    F(T, retry_after), F(T, ratelimit_policy), F(T, ratelimit), FEND};
#undef T

#define T aicp_guard_options
TABLE(aicp_guard_options) = {F(T, hash_key), FEND};
#undef T
#define T aicp_guard_scan_options
TABLE(aicp_guard_scan_options) = {
    F(T, direction), F(T, source), FH(T, session, SWIGTYPE_p_aicp_guard_session), FEND};
#undef T
#define T aicp_guard_finding
TABLE(aicp_guard_finding) = {
    F(T, start), F(T, end), F(T, char_start), F(T, char_end), F(T, score), F(T, action),
    F(T, category), F(T, validated), F(T, decoded), F(T, type), F(T, rule), F(T, preview),
    F(T, hash), FEND};
#undef T
#define T aicp_guard_rule
TABLE(aicp_guard_rule) = {
    F(T, id), F(T, type), F(T, description), F(T, validation), F(T, region), F(T, category),
    F(T, action), F(T, score), FEND};
#undef T

#define T aicp_litellm_options
TABLE(aicp_litellm_options) = {
    F(T, timeout_ms), F(T, chat_timeout_ms), F(T, connect_timeout_ms), F(T, max_response),
    F(T, max_idle), FEND};
#undef T
#define T aicp_litellm_usage
TABLE(aicp_litellm_usage) = {
    F(T, input_tokens), F(T, output_tokens), F(T, total_tokens), F(T, cached_tokens),
    F(T, cost_nano), FEND};
#undef T
#define T aicp_gate_options
TABLE(aicp_gate_options) = {
    F(T, flags), F(T, watch_ms), F(T, bundle_path), F(T, store_url), F(T, rates_url), F(T, node),
    F(T, events_path), F(T, bundle_url), F(T, service_key), F(T, cache_path), F(T, events_url), FEND};
#undef T

#define T aicp_budget_window_options
TABLE(aicp_budget_window_options) = {
    FT(T, timezone), FT(T, reset_time), F(T, anchor_ns), F(T, align), FEND};
#undef T
#define T aicp_ledger_options
TABLE(aicp_ledger_options) = {
    FT(T, node), F(T, mode), F(T, background), F(T, default_ttl_ns), F(T, hold_ttl_ns),
    F(T, flush_ns), F(T, refresh_ns), F(T, idle_ns), F(T, batch), F(T, unsent_max),
    F(T, remember), F(T, slice_divisor), FT(T, journal_path), F(T, keep_ns), FT(T, service_key), FEND};
#undef T
#define T aicp_ledger_account
TABLE(aicp_ledger_account) = {
    F(T, limit_nano), FT(T, duration), FT(T, timezone), FT(T, reset_time), F(T, anchor_ns),
    F(T, align), F(T, on_unknown_price), F(T, temp_increase_nano), F(T, temp_until_ns),
    F(T, rollover_max_nano), FL(T, soft_percent, PY_I32_LIST), FL(T, soft_nano, PY_I64_LIST),
    F(T, frozen), FEND};
#undef T
#define T aicp_ledger_status
TABLE(aicp_ledger_status) = {
    F(T, limit_nano), F(T, spent_nano), F(T, reserved_nano), F(T, held_nano),
    F(T, remaining_nano), F(T, window_start_ns), F(T, window_end_ns), F(T, window),
    F(T, frozen), F(T, stale), FEND};
#undef T
#define T aicp_ledger_request
TABLE(aicp_ledger_request) = {
    FT(T, id), FL(T, accounts, PY_TEXT_LIST), F(T, amount_nano), F(T, ttl_ns),
    F(T, deadline_ns), F(T, unknown_price), FEND};
#undef T
#define T aicp_ledger_result
TABLE(aicp_ledger_result) = {
    F(T, admitted), F(T, replayed), F(T, account), F(T, degraded), F(T, limit_nano),
    F(T, remaining_nano), F(T, reset_at_ns), F(T, window), F(T, reserved_at_ns), FEND};
#undef T
#define T aicp_ledger_settlement
TABLE(aicp_ledger_settlement) = {
    FL(T, accounts, PY_TEXT_LIST), F(T, reserved_at_ns), F(T, deadline_ns), FEND};
#undef T
#define T aicp_ledger_adjustment
TABLE(aicp_ledger_adjustment) = {
    FT(T, id), FT(T, reason), F(T, amount_nano), F(T, at_ns), F(T, deadline_ns), FEND};
#undef T
#define T aicp_ledger_query
TABLE(aicp_ledger_query) = {
    FT(T, prefix), FT(T, after), F(T, deadline_ns), F(T, limit), FEND};
#undef T
#define T aicp_ledger_account_row
TABLE(aicp_ledger_account_row) = {
    F(T, id), F(T, limit_nano), F(T, spent_nano), F(T, held_nano), F(T, remaining_nano),
    F(T, window_start_ns), F(T, window_end_ns), F(T, window), F(T, frozen), FEND};
#undef T
#define T aicp_ledger_reservation_row
TABLE(aicp_ledger_reservation_row) = {
    F(T, id), F(T, amount_nano), F(T, estimate_nano), F(T, reserved_at_ns), F(T, deadline_ns),
    F(T, window), F(T, dispatched), FEND};
#undef T
#define T aicp_ledger_event
TABLE(aicp_ledger_event) = {
    F(T, window), F(T, window_end_ns), F(T, threshold_nano), F(T, threshold_percent),
    F(T, spent_nano), F(T, limit_nano), F(T, account), FEND};
#undef T
#define T aicp_ledger_metrics
TABLE(aicp_ledger_metrics) = {
    F(T, admitted), F(T, denied), F(T, settled), F(T, released), F(T, expired), F(T, estimated),
    F(T, recovered), F(T, late), F(T, duplicates), F(T, overrun_nano), F(T, would_block),
    F(T, transactions), F(T, store_errors), F(T, unsent), F(T, clock_backward),
    F(T, events_dropped), FEND};
#undef T
%}
AICP_RECORD_IN(aicp_policy_set_options, options, AICP_POLICY_SET_OPTIONS_INIT)
AICP_RECORD_IN(aicp_policy_format_options, options, AICP_POLICY_FORMAT_OPTIONS_INIT)
AICP_RECORD_IN(aicp_policy_schema_options, options, AICP_POLICY_SCHEMA_OPTIONS_INIT)
AICP_RECORD_IN(aicp_policy_validate_options, options, AICP_POLICY_VALIDATE_OPTIONS_INIT)
AICP_RECORD_IN(aicp_policy_entities_options, options, AICP_POLICY_ENTITIES_OPTIONS_INIT)
AICP_RECORD_IN(aicp_policy_batch_options, options, AICP_POLICY_BATCH_OPTIONS_INIT)
AICP_RECORD_OUT(aicp_token_count, count, {0})
AICP_RECORD_IN(aicp_price_table_options, options, AICP_PRICE_TABLE_OPTIONS_INIT)
AICP_RECORD_IN(aicp_cost_options, options, AICP_COST_OPTIONS_INIT)
AICP_RECORD_OUT(aicp_cost_quote, quote, {0})
AICP_RECORD_IN(aicp_usage, usage, AICP_USAGE_INIT)
AICP_RECORD_OUT(aicp_usage, usage, AICP_USAGE_INIT)
AICP_RECORD_OUT(aicp_cost, cost, {0})
AICP_RECORD_IN(aicp_limit_rules_options, options, AICP_LIMIT_RULES_OPTIONS_INIT)
AICP_RECORD_IN(aicp_limiter_options, options, AICP_LIMITER_OPTIONS_INIT)
AICP_RECORD_OUT(aicp_limit_rule_info, info, {sizeof(aicp_limit_rule_info)})
AICP_RECORD_IN(aicp_limit_result, result, AICP_LIMIT_RESULT_INIT)
AICP_RECORD_OUT(aicp_limit_result, result, AICP_LIMIT_RESULT_INIT)
AICP_RECORD_OUT(aicp_limiter_stats, stats, {sizeof(aicp_limiter_stats)})
AICP_RECORD_OUT(aicp_limit_headers, out, {{0}})

/* Who asks for how much: (values, tokens, now_ns, deadline_ns, slot_ttl_ns, flags), values being a
 * sequence of (dimension, text). */
%ignore aicp_limit_request;
%ignore aicp_limit_request_init;
%ignore aicp_limit_value;
%typemap(in) const aicp_limit_request *request (py_limit_request asked) {
    if (py_limit_request_get($input, &asked) != 0) {
        SWIG_fail;
    }
    $1 = &asked.request;
}
%typemap(check) const aicp_limit_request *request "";

/* Of the caller's memory: an object that owns it. */
%ignore aicp_limit_ticket::internal;
typedef struct aicp_limit_ticket {
    %extend {
        aicp_limit_ticket() {
            return calloc(1, sizeof(aicp_limit_ticket));
        }
        ~aicp_limit_ticket() {
            free($self);
        }
    }
} aicp_limit_ticket;
%ignore aicp_limit_ticket;

/* Refusals are answers, not failures. */
%typemap(out) aicp_status aicp_limiter_take {
    if ($1 != AICP_OK && $1 != AICP_ERR_RATE_LIMITED && $1 != AICP_ERR_TOO_LARGE) {
        py_raise($1);
        SWIG_fail;
    }
    $result = PyLong_FromLong($1);
}

%ignore aicp_limit_state;
%typemap(in, numinputs=0) (aicp_limit_state *states, size_t max, size_t *count)
    (aicp_limit_state room[AICP_LIMIT_MAX_CHARGES], size_t n = 0) {
    $1 = room;
    $2 = AICP_LIMIT_MAX_CHARGES;
    $3 = &n;
}
%typemap(check) (aicp_limit_state *states, size_t max, size_t *count) "";
%typemap(argout) (aicp_limit_state *states, size_t max, size_t *count) {
    $result = SWIG_Python_AppendOutput(
        $result, py_record_list(aicp_limit_state_fields, $1, sizeof *$1, *$3));
}

AICP_RECORD_IN(aicp_guard_options, options, AICP_GUARD_OPTIONS_INIT)
AICP_RECORD_IN(aicp_guard_scan_options, options, AICP_GUARD_SCAN_OPTIONS_INIT)
AICP_RECORD_IN(aicp_litellm_options, options, AICP_LITELLM_OPTIONS_INIT)
AICP_RECORD_OUT(aicp_litellm_usage, usage, AICP_LITELLM_USAGE_INIT)
AICP_RECORD_IN(aicp_gate_options, options, AICP_GATE_OPTIONS_INIT)

/* Lists of the library, one entry at a time. */
%define AICP_RECORD_RESULT(TYPE)
%ignore TYPE;
%typemap(out) const TYPE * {
    if ($1 != NULL) {
        $result = py_record_dict(TYPE##_fields, $1);
    } else {
        $result = SWIG_Py_Void();
    }
}
%enddef
AICP_RECORD_RESULT(aicp_guard_finding)
AICP_RECORD_RESULT(aicp_guard_rule)

AICP_RECORD_IN(aicp_budget_window_options, options, AICP_BUDGET_WINDOW_OPTIONS_INIT)
AICP_RECORD_IN(aicp_ledger_options, options, AICP_LEDGER_OPTIONS_INIT)
AICP_RECORD_IN(aicp_ledger_account, account, AICP_LEDGER_ACCOUNT_INIT)
AICP_RECORD_IN(aicp_ledger_request, request, AICP_LEDGER_REQUEST_INIT)
AICP_RECORD_IN(aicp_ledger_settlement, settlement, AICP_LEDGER_SETTLEMENT_INIT)
AICP_RECORD_IN(aicp_ledger_adjustment, adjustment, AICP_LEDGER_ADJUSTMENT_INIT)
AICP_RECORD_IN(aicp_ledger_query, query, AICP_LEDGER_QUERY_INIT)
AICP_RECORD_RESULT(aicp_ledger_account_row)
AICP_RECORD_RESULT(aicp_ledger_reservation_row)
AICP_RECORD_OUT(aicp_ledger_status, out, AICP_LEDGER_STATUS_INIT)
AICP_RECORD_OUT(aicp_ledger_result, out, AICP_LEDGER_RESULT_INIT)
AICP_RECORD_OUT(aicp_ledger_event, out, {sizeof(aicp_ledger_event)})
AICP_RECORD_OUT(aicp_ledger_metrics, out, AICP_LEDGER_METRICS_INIT)
%ignore aicp_ledger_text;

/* A refusal is an answer. */
%typemap(out) aicp_status aicp_ledger_reserve {
    if ($1 != AICP_OK && $1 != AICP_ERR_BUDGET_EXCEEDED) {
        py_raise($1);
        SWIG_fail;
    }
    $result = PyLong_FromLong($1);
}
