/**
 * @file aicp.h
 * Everything: includes all public headers of libaicp.
 */
#ifndef AICP_AICP_H
#define AICP_AICP_H

#include "aicp/base.h"
#include "aicp/error.h"
#include "aicp/export.h"

#endif
