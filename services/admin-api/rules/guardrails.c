/* Section guardrails: profiles, and which team goes by which. */
#include "services/admin-api/rules/rules.h"

aicp_status aicpa_write_guardrails(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    (void)build;
    (void)out;
    (void)err;
    return AICP_OK;
}
