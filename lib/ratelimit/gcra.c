#include "lib/ratelimit/gcra.h"

const aicpi_limit_algorithm aicpi_limit_gcra = {
    .name = "gcra",
    .number = AICP_LIMIT_GCRA,
    .has_burst = true,
    .advance = aicpi_gcra_advance,
    .fits = aicpi_gcra_fits,
    .charge = aicpi_gcra_charge,
    .refund = aicpi_gcra_refund,
    .convert = aicpi_gcra_convert,
    .remaining = aicpi_gcra_remaining,
    .reset = aicpi_gcra_reset,
    .share = aicpi_gcra_share,
};
