/* TZif files: refused or a zone whose offsets stay within two days. */
#include "lib/base/tz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicpi_tz *tz = NULL;
    if (aicpi_tz_parse(NULL, (const char *)data, size, &tz, NULL) != AICP_OK) {
        return 0;
    }
    for (int64_t t = -INT64_C(5000000000); t < INT64_C(9000000000); t += INT64_C(9876543)) {
        int32_t offset = aicpi_tz_offset(tz, t);
        if (offset < -200000 || offset > 200000) {
            abort();
        }
        (void)aicpi_tz_to_utc(tz, t);
    }
    aicpi_tz_free(tz);
    return 0;
}
