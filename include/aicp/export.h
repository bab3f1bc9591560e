/**
 * @file export.h
 * Macros of the public headers. All of them are empty under SWIG, which cannot read compiler
 * attributes.
 */
#ifndef AICP_EXPORT_H
#define AICP_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#define AICP_VERSION_MAJOR 0
#define AICP_VERSION_MINOR 1
#define AICP_VERSION_PATCH 0
#define AICP_VERSION_STRING "0.1.0"

#if defined(SWIG)
#define AICP_API
#define AICP_NONNULL(...)
#define AICP_MUST_CHECK
#define AICP_DEPRECATED(version, use)
#elif defined(__GNUC__)
#define AICP_API __attribute__((visibility("default")))
/** The named arguments (counted from 1) must not be NULL. */
#define AICP_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
/** The result carries the outcome and must not be dropped. */
#define AICP_MUST_CHECK __attribute__((warn_unused_result))
#define AICP_DEPRECATED(version, use)                                                              \
    __attribute__((deprecated("deprecated since " version ", use " use)))
#else
#define AICP_API
#define AICP_NONNULL(...)
#define AICP_MUST_CHECK
#define AICP_DEPRECATED(version, use)
#endif

#if defined(__cplusplus)
#define AICP_BEGIN_DECL extern "C" {
#define AICP_END_DECL }
#else
#define AICP_BEGIN_DECL
#define AICP_END_DECL
#endif

#endif
