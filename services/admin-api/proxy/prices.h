/* Prices of the proxy's own models, for the bundle's section overrides. */
#ifndef AICPA_PROXY_PRICES_H
#define AICPA_PROXY_PRICES_H

#include "services/admin-api/admin.h"

/* Chore: asks LiteLLM for its models and, when a price, name or limit differs from what is stored,
 * stores it and marks the rules. Every 30 s, and soon after aicpa_prices_stale(). */
aicp_status aicpa_prices_follow(aicpa_admin *admin, aicpi_sql *db, aicp_error *err);
void aicpa_prices_stale(aicpa_admin *admin);

#endif
