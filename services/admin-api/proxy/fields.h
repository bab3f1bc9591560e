/* What the tables of LiteLLM's keys, teams, budget profiles and models share. */
#ifndef AICPA_PROXY_FIELDS_H
#define AICPA_PROXY_FIELDS_H

#include "services/admin-api/proxy/proxy.h"

/* A field that LiteLLM tells, perhaps as null. */
#define AICPA_TOLD(field, kind, more)                                                              \
    { .name = field, .type = kind, .flags = AICPS_READ_ONLY | AICPS_NULLABLE | (more) }

/* A field that a body may have; null takes it away. */
#define AICPA_MAY(field, kind, least, most)                                                        \
    { .name = field, .type = kind, .flags = AICPS_NULLABLE, .min = least, .max = most }
#define AICPA_MAY_TEXT(field) AICPA_MAY(field, AICPS_TEXT, 1, 256)
#define AICPA_MAY_LIMIT(field) AICPA_MAY(field, AICPS_INT, 0, INT64_C(1000000000000))
#define AICPA_MAY_DOLLARS(field) AICPA_MAY(field, AICPS_DECIMAL, 0, INT64_C(1000000000000000000))

#define AICPA_DURATION "[1-9][0-9]{0,4}(s|m|h|d|w|mo)"
#define AICPA_MAY_BUDGET_DURATION                                                                  \
    {                                                                                              \
        .name = "budget_duration", .type = AICPS_TEXT, .flags = AICPS_NULLABLE, .min = 1,          \
        .max = 16, .pattern = AICPA_DURATION "|hourly|daily|weekly|monthly"                        \
    }

#define AICPA_TEXT(field, more)                                                                    \
    { .name = field, .type = AICPS_TEXT, .flags = more, .min = 1, .max = 256 }

/* The route of a verb: `fields` is its body's table. */
#define AICPA_PROXY_ROUTE(verb_of_http, path, type, act, text, fields, verb)                       \
    {                                                                                              \
        .method = verb_of_http, .pattern = path, .handler = aicpa_proxy_change,                    \
        .flags = AICPS_PARTIAL, .action = act, .resource_type = type, .summary = text,             \
        .response_schema = "{\"type\":\"object\"}", .data = verb, .body = fields,                  \
        .body_count = AICPA_COUNT(fields)                                                          \
    }

#endif
