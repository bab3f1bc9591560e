/* What organizations, their teams and members share. */
#ifndef AICPA_RESOURCES_ORGANIZATIONS_H
#define AICPA_RESOURCES_ORGANIZATIONS_H

#include "services/admin-api/admin.h"

/* A field error when `field` is more than what `sql` (one parameter: `id`) gives for the parent;
 * null on either side is no limit. */
aicp_status aicpa_budget_fits(
    aicps_change *change,
    const char *field,
    const char *sql,
    const char *id,
    const char *what,
    aicp_error *err);

#endif
