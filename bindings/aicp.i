/* The one SWIG interface of libaicp. It reads the public headers as they are; what a language needs
 * beyond them stands in a file of its own (python/python.i, go/go.i), included before the headers so
 * that its typemaps apply to every declaration. */
%module(threads="1") aicp

%{
#include "aicp/aicp.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
%}

%include <stdint.i>
#ifdef SWIGGO
%include "go/go.i"
#endif

/* Attributes are not readable for SWIG; export.h would only hide them behind `SWIG`, which the
 * headers also use to leave out what plain wrappers cannot do. The typemaps here can. */
#define AICP_EXPORT_H
#define AICP_API
#define AICP_NONNULL(...)
#define AICP_MUST_CHECK
#define AICP_DEPRECATED(version, use)
#define AICP_BEGIN_DECL
#define AICP_END_DECL
#define INT64_C(value) value##LL

/* Values that SWIG cannot read out of their macros. */
%constant uint64_t AICP_LIMIT_NEVER = UINT64_MAX;
%constant int64_t AICP_BUDGET_FOREVER = INT64_MAX;
%constant uint64_t AICP_GATE_BODY_MAX = (uint64_t)16 << 20;

/* Handles: opaque in C, objects with a destructor here. HANDLE(type) is defined by the language. */
%define AICP_HANDLES
HANDLE(aicp_policy_set)
HANDLE(aicp_policy_schema)
HANDLE(aicp_policy_entities)
HANDLE(aicp_policy_report)
HANDLE(aicp_policy_request)
HANDLE(aicp_policy_response)
HANDLE(aicp_tokenizer)
HANDLE(aicp_cost_request)
HANDLE(aicp_price_table)
HANDLE(aicp_model_list)
HANDLE(aicp_limit_rules)
HANDLE(aicp_limiter)
HANDLE(aicp_guard_profile)
HANDLE(aicp_guard_result)
HANDLE(aicp_guard_session)
HANDLE(aicp_guard_stream)
HANDLE(aicp_bundle)
HANDLE(aicp_budget_window)
HANDLE(aicp_ledger)
HANDLE(aicp_ledger_page)
HANDLE(aicp_litellm)
HANDLE(aicp_litellm_reply)
HANDLE(aicp_gate)
HANDLE(aicp_gate_request)
HANDLE(aicp_gate_decision)
HANDLE(aicp_gate_stream)
HANDLE(aicp_rate_store)
%enddef

#ifdef SWIGPYTHON
%include "python/python.i"
#endif

AICP_HANDLES

#undef SWIG
%include "aicp/error.h"
%include "aicp/base.h"
%include "aicp/policy.h"
%include "aicp/cost.h"
%include "aicp/ratelimit.h"
%include "aicp/guardrail.h"
%include "aicp/budget.h"
%include "aicp/litellm.h"
%include "aicp/gate.h"
