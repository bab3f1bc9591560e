/**
 * @file aicp.h
 * Everything: includes all public headers of libaicp.
 */
#ifndef AICP_AICP_H
#define AICP_AICP_H

#include "aicp/base.h"
#include "aicp/budget.h"
#include "aicp/cost.h"
#include "aicp/error.h"
#include "aicp/export.h"
#include "aicp/gate.h"
#include "aicp/guardrail.h"
#include "aicp/litellm.h"
#include "aicp/policy.h"
#include "aicp/ratelimit.h"

#endif
