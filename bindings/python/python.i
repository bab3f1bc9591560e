/* Python: texts from str and bytes without a copy, errors as exceptions, structures as dictionaries,
 * handles as objects. Every pointer parameter must be covered by a typemap here, so that no value
 * from Python can reach C as a wild or NULL pointer. */
%nothread;

%{
#include "python_support.h"
%}
%include "python/records.i"

%init %{
    if (py_init_error(m) != 0) {
        return NULL;
    }
%}

/* No pointer may be NULL unless a typemap below allows it. */
%typemap(check) SWIGTYPE * {
    if ($1 == NULL) {
        PyErr_SetString(PyExc_TypeError, "$symname: argument $argnum must not be None");
        SWIG_fail;
    }
}

/* ---- outcome ---------------------------------------------------------------------------------- */
%typemap(in, numinputs=0) aicp_error *err {
    $1 = py_error_slot();
}
%typemap(check) aicp_error *err "";
%typemap(out) aicp_status {
    if ($1 != AICP_OK) {
        py_raise($1);
        SWIG_fail;
    }
    $result = SWIG_Py_Void();
}
/* Calls whose result is a code to read, not an outcome. */
%define AICP_CODE_RESULT(FUNCTION)
%typemap(out) aicp_status FUNCTION {
    $result = PyLong_FromLong($1);
}
%enddef

/* ---- texts ------------------------------------------------------------------------------------ */
%define AICP_TEXT(DATA, LEN)
%typemap(in) (const char *DATA, size_t LEN) (py_text text = {0}) {
    if (py_text_get($input, &text) != 0) {
        SWIG_fail;
    }
    $1 = (char *)text.data;
    $2 = text.len;
}
%typemap(check) (const char *DATA, size_t LEN) "";
%typemap(freearg) (const char *DATA, size_t LEN) {
    py_text_release(&text$argnum);
}
%enddef
AICP_TEXT(data, len)
AICP_TEXT(type, type_len)
AICP_TEXT(id, id_len)
AICP_TEXT(role, role_len)
AICP_TEXT(key, key_len)
AICP_TEXT(value, value_len)
AICP_TEXT(name, name_len)
AICP_TEXT(url, url_len)

/* NUL-terminated texts. */
%typemap(in) const char * {
    $1 = (char *)py_string_get($input);
    if ($1 == NULL) {
        SWIG_fail;
    }
}
%typemap(freearg) const char * "";
%typemap(out) const char * {
    $result = py_string_or_none($1);
}

/* A list of texts. */
%typemap(in) (const char *const *items, const size_t *lens, size_t count) (py_texts texts = {0}) {
    if (py_texts_get($input, &texts) != 0) {
        SWIG_fail;
    }
    $1 = (char **)texts.items;
    $2 = texts.lens;
    $3 = texts.count;
}
%typemap(check) (const char *const *items, const size_t *lens, size_t count) "";
%typemap(freearg) (const char *const *items, const size_t *lens, size_t count) {
    py_texts_release(&texts$argnum);
}

/* A list of token ids. */
%typemap(in) (const uint32_t *ids, size_t ids_len) (uint32_t *ids = NULL) {
    if (py_ids_get($input, &ids, &$2) != 0) {
        SWIG_fail;
    }
    $1 = ids;
}
%typemap(check) (const uint32_t *ids, size_t ids_len) "";
%typemap(freearg) (const uint32_t *ids, size_t ids_len) {
    PyMem_Free(ids$argnum);
}

/* ---- numbers and buffers out ------------------------------------------------------------------ */
%define AICP_NUMBER_OUT(TYPE, NAME, MAKE)
%typemap(in, numinputs=0) TYPE *NAME (TYPE number = 0) {
    $1 = &number;
}
%typemap(check) TYPE *NAME "";
%typemap(argout) TYPE *NAME {
    $result = SWIG_Python_AppendOutput($result, MAKE(*$1));
}
%enddef
AICP_NUMBER_OUT(int64_t, nano, PyLong_FromLongLong)
AICP_NUMBER_OUT(int64_t, tokens, PyLong_FromLongLong)
AICP_NUMBER_OUT(int64_t, femto_usd, PyLong_FromLongLong)
AICP_NUMBER_OUT(int64_t, start_ns, PyLong_FromLongLong)
AICP_NUMBER_OUT(int64_t, end_ns, PyLong_FromLongLong)
AICP_NUMBER_OUT(int64_t, settled_nano, PyLong_FromLongLong)
AICP_NUMBER_OUT(int64_t, cost_nano, PyLong_FromLongLong)
AICP_NUMBER_OUT(int32_t, verdict, PyLong_FromLong)
AICP_NUMBER_OUT(int32_t, allowed, PyLong_FromLong)
AICP_NUMBER_OUT(int32_t, changed, PyLong_FromLong)
AICP_NUMBER_OUT(size_t, index, PyLong_FromSize_t)
AICP_NUMBER_OUT(size_t, bytes, PyLong_FromSize_t)

%typemap(in, numinputs=0) aicp_buf *out (aicp_buf buf = AICP_BUF_INIT) {
    $1 = &buf;
}
%typemap(check) aicp_buf *out "";
%typemap(argout) aicp_buf *out {
    $result = SWIG_Python_AppendOutput(
        $result, PyBytes_FromStringAndSize($1->data, (Py_ssize_t)$1->len));
}
%typemap(freearg) aicp_buf *out {
    aicp_buf_free(&buf$argnum);
}

/* A borrowed text out. */
%typemap(in, numinputs=0) (const char **data, size_t *len) (const char *text = NULL, size_t n = 0) {
    $1 = (char **)&text;
    $2 = &n;
}
%typemap(check) (const char **data, size_t *len) "";
%typemap(argout) (const char **data, size_t *len) {
    $result = SWIG_Python_AppendOutput($result, py_text_or_none(*$1, *$2));
}

/* A borrowed text as result with its length beside it: bytes or None. */
%typemap(in, numinputs=0) size_t *len (size_t n = 0) {
    $1 = &n;
}
%typemap(check) size_t *len "";
%define AICP_BYTES_RESULT(FUNCTION, LEN)
%typemap(out) const char *FUNCTION {
    $result = $1 != NULL ? PyBytes_FromStringAndSize($1, (Py_ssize_t)*LEN) : SWIG_Py_Void();
}
%enddef
AICP_BYTES_RESULT(aicp_policy_schema_action_id, arg3)
AICP_BYTES_RESULT(aicp_gate_decision_body, arg2)
AICP_BYTES_RESULT(aicp_guard_result_text, arg2)
AICP_BYTES_RESULT(aicp_guard_stream_released, arg2)
AICP_BYTES_RESULT(aicp_litellm_reply_body, arg2)

/* ---- hooks that Python does not set ----------------------------------------------------------- */
%typemap(in, numinputs=0) const aicp_allocator *allocator {
    $1 = NULL;
}
%typemap(check) const aicp_allocator *allocator "";

/* ---- handles ---------------------------------------------------------------------------------- */
%define HANDLE(TYPE)
%nodefaultctor TYPE;
typedef struct TYPE {
} TYPE;
%extend TYPE {
    ~TYPE() {
        TYPE##_free($self);
    }
}
%ignore TYPE##_free;
%ignore TYPE##_ref;
%typemap(in, numinputs=0) TYPE **out (TYPE *made = NULL) {
    $1 = &made;
}
%typemap(check) TYPE **out "";
%typemap(argout) TYPE **out {
    $result = SWIG_Python_AppendOutput(
        $result, SWIG_NewPointerObj(*$1, $*1_descriptor, SWIG_POINTER_OWN));
}
%enddef

/* Borrowed from a handle; the Python layer keeps that handle alive. */
%typemap(in, numinputs=0) const aicp_price **price (aicp_price *borrowed = NULL) {
    $1 = &borrowed;
}
%typemap(check) const aicp_price **price "";
%typemap(argout) const aicp_price **price {
    $result = SWIG_Python_AppendOutput($result, SWIG_NewPointerObj((void *)*$1, $*1_descriptor, 0));
}

/* ---- made by hand ----------------------------------------------------------------------------- */
%typemap(in, numinputs=0) char *out (char text[AICP_MONEY_TEXT_SIZE]) {
    $1 = text;
}
%typemap(out) size_t aicp_money_format {
    $result = PyUnicode_FromStringAndSize(arg2, (Py_ssize_t)$1);
}
AICP_CODE_RESULT(aicp_policy_response_error_status)
AICP_CODE_RESULT(aicp_guard_result_error)

/* A callable that gets each event; what it raises ends the stream and comes out of the call. */
%typemap(in) (aicp_litellm_event_fn fn, void *user) {
    if (!PyCallable_Check($input)) {
        PyErr_SetString(PyExc_TypeError, "a callable is expected");
        SWIG_fail;
    }
    $1 = py_litellm_event;
    $2 = $input;
}
%typemap(check) (aicp_litellm_event_fn fn, void *user) "";
%ignore aicp_litellm_event_fn;

/* A callable that gets type and id and gives None or the entity's JSON; None: no lookup. What it
 * raises comes out of the call that asked. The request holds it. */
%typemap(in) (aicp_policy_lookup_fn fn, void *user, aicp_policy_release_fn release) {
    $1 = NULL;
    $2 = NULL;
    $3 = NULL;
    if ($input != Py_None && !PyCallable_Check($input)) {
        PyErr_SetString(PyExc_TypeError, "a callable is expected");
        SWIG_fail;
    }
    if ($input != Py_None) {
        Py_INCREF($input);
        $1 = py_policy_lookup;
        $2 = $input;
        $3 = py_policy_release;
    }
}
%typemap(check) (aicp_policy_lookup_fn fn, void *user, aicp_policy_release_fn release) "";
%ignore aicp_policy_lookup_fn;
%ignore aicp_policy_release_fn;
%ignore aicp_policy_found;
%ignore aicp_policy_found_json;

%ignore aicp_allocator;
%ignore aicp_clock;
%ignore aicp_log_fn;
%ignore aicp_gate_options::log;
/* A lease source is for limiters in C; a gate opens it by its rates_url. */
%ignore aicp_redis_leases;
%ignore aicp_redis_leases_options;
%rename("$ignore", regexmatch$name="^aicp_redis_leases_") "";
%ignore aicp_buf;
%ignore aicp_buf_free;
%ignore aicp_error;
%ignore aicp_error_clear;
%ignore aicp_token_ids;
%ignore aicp_tokenizer_encode_into;
%ignore aicp_lease_request;
%ignore aicp_lease_grant;
%ignore aicp_lease_source;

/* ---- the interpreter's lock is given up in calls that scan much text or wait ------------------ */
%thread aicp_policy_set_parse;
%thread aicp_policy_schema_parse;
%thread aicp_policy_validate;
%thread aicp_policy_entities_parse;
%thread aicp_price_table_parse;
%thread aicp_model_list_parse;
%thread aicp_tokenizer_count;
%thread aicp_tokenizer_encode;
%thread aicp_limiter_flush;
%thread aicp_budget_window_parse;
%thread aicp_ledger_open;
%thread aicp_ledger_close;
%thread aicp_ledger_account_put;
%thread aicp_ledger_account_status;
%thread aicp_ledger_reserve;
%thread aicp_ledger_settle;
%thread aicp_ledger_adjust;
%thread aicp_ledger_account_list;
%thread aicp_ledger_reservation_list;
%thread aicp_ledger_account_spend;
%thread aicp_ledger_serve;
%thread aicp_ledger_flush;
%thread aicp_litellm_health;
%thread aicp_litellm_health_details;
%thread aicp_litellm_liveness;
%thread aicp_litellm_backlog;
%thread aicp_litellm_model_health;
%thread aicp_litellm_model_health_latest;
%thread aicp_litellm_models;
%thread aicp_litellm_model_info;
%thread aicp_litellm_model_get;
%thread aicp_litellm_model_find;
%thread aicp_litellm_model_groups;
%thread aicp_litellm_model_new;
%thread aicp_litellm_model_update;
%thread aicp_litellm_model_patch;
%thread aicp_litellm_model_delete;
%thread aicp_litellm_model_block;
%thread aicp_litellm_model_unblock;
%thread aicp_litellm_key_generate;
%thread aicp_litellm_key_info;
%thread aicp_litellm_key_list;
%thread aicp_litellm_key_find;
%thread aicp_litellm_key_update;
%thread aicp_litellm_key_delete;
%thread aicp_litellm_key_delete_many;
%thread aicp_litellm_key_block;
%thread aicp_litellm_key_unblock;
%thread aicp_litellm_key_reset_spend;
%thread aicp_litellm_team_new;
%thread aicp_litellm_team_info;
%thread aicp_litellm_team_list;
%thread aicp_litellm_team_find;
%thread aicp_litellm_team_update;
%thread aicp_litellm_team_delete;
%thread aicp_litellm_team_delete_many;
%thread aicp_litellm_team_block;
%thread aicp_litellm_team_unblock;
%thread aicp_litellm_team_member_add;
%thread aicp_litellm_team_member_update;
%thread aicp_litellm_team_member_delete;
%thread aicp_litellm_team_model_add;
%thread aicp_litellm_team_model_delete;
%thread aicp_litellm_user_new;
%thread aicp_litellm_user_find;
%thread aicp_litellm_user_info;
%thread aicp_litellm_user_update;
%thread aicp_litellm_user_delete;
%thread aicp_litellm_user_delete_many;
%thread aicp_litellm_customer_new;
%thread aicp_litellm_customer_list;
%thread aicp_litellm_customer_info;
%thread aicp_litellm_customer_update;
%thread aicp_litellm_customer_delete;
%thread aicp_litellm_budget_new;
%thread aicp_litellm_budget_list;
%thread aicp_litellm_budget_info;
%thread aicp_litellm_budget_settings;
%thread aicp_litellm_budget_update;
%thread aicp_litellm_budget_delete;
%thread aicp_litellm_spend_logs;
%thread aicp_litellm_spend_days;
%thread aicp_litellm_spend_keys;
%thread aicp_litellm_spend_users;
%thread aicp_litellm_spend_tags;
%thread aicp_litellm_spend_calculate;
%thread aicp_litellm_token_count;
%thread aicp_litellm_global_spend;
%thread aicp_litellm_global_spend_logs;
%thread aicp_litellm_global_spend_keys;
%thread aicp_litellm_global_spend_models;
%thread aicp_litellm_global_spend_teams;
%thread aicp_litellm_global_spend_providers;
%thread aicp_litellm_global_spend_tags;
%thread aicp_litellm_global_activity;
%thread aicp_litellm_global_activity_models;
%thread aicp_litellm_activity;
%thread aicp_litellm_activity_days;
%thread aicp_litellm_team_activity_days;
%thread aicp_litellm_customer_activity_days;
%thread aicp_litellm_router_settings;
%thread aicp_litellm_config_update;
%thread aicp_litellm_config_callbacks;
%thread aicp_litellm_config_list;
%thread aicp_litellm_fallback_set;
%thread aicp_litellm_fallback_get;
%thread aicp_litellm_fallback_delete;
%thread aicp_litellm_cache_settings;
%thread aicp_litellm_cache_settings_update;
%thread aicp_litellm_cache_ping;
%thread aicp_litellm_guardrails;
%thread aicp_litellm_guardrail_apply;
%thread aicp_litellm_chat;
%thread aicp_litellm_completion;
%thread aicp_litellm_response;
%thread aicp_litellm_message;
%thread aicp_litellm_embedding;
%thread aicp_litellm_chat_stream;
%thread aicp_litellm_response_stream;
%thread aicp_litellm_stream;
%thread aicp_litellm_call;
%thread aicp_litellm_call_bare;
%thread aicp_guard_profile_parse;
%thread aicp_guard_scan;
%thread aicp_guard_stream_feed;
%thread aicp_guard_stream_finish;
%thread aicp_bundle_open;
%thread aicp_bundle_seal;
%thread aicp_gate_open;
%thread aicp_gate_load;
%thread aicp_gate_reload;
%thread aicp_gate_flush;
%thread aicp_gate_check;
%thread aicp_gate_candidate;
%thread aicp_gate_output;
%thread aicp_gate_output_text;
%thread aicp_gate_stream_feed;
%thread aicp_rate_store_open;
%thread aicp_rate_store_serve;
%thread aicp_gate_settle;
%thread aicp_gate_release;
/* Closing sends what the store does not know yet. */
%thread aicp_gate::~aicp_gate;
%thread aicp_ledger::~aicp_ledger;

/* A call without a body; the text typemap knows no NULL. */
%inline %{
static aicp_status aicp_litellm_call_bare(
    aicp_litellm *client, const char *method, const char *path, aicp_litellm_reply *reply,
    aicp_error *err) {
    return aicp_litellm_call(client, method, path, NULL, 0, reply, err);
}
%}
