/* Texts that are compiled in. */
#ifndef AICPA_EMBEDDED_H
#define AICPA_EMBEDDED_H

#include <stddef.h>

extern const char aicpa_policies[]; /* policies/admin.cedar */
extern const size_t aicpa_policies_len;
extern const char aicpa_schema[]; /* config/policy/aicp.cedarschema */
extern const size_t aicpa_schema_len;
extern const char aicpa_default_policies[]; /* config/policy/default.cedar */
extern const size_t aicpa_default_policies_len;
extern const char *const aicpa_migrations[]; /* migrations, in order */
extern const size_t aicpa_migrations_count;

#endif
