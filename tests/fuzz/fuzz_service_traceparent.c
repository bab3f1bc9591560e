/* The traceparent header: what is taken gives the same header back, but for version and flags. */
#include "services/common/process/process_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aicps_traceparent parent;
    aicps_span span;
    char header[56];
    aicpi_slice text = aicpi_slice_of((const char *)data, size);
    bool taken = aicps_traceparent_parse(text, &parent);
    aicps_span_begin(NULL, &span, "span", 2, text);
    aicps_span_header(&span, header);
    if (strlen(header) != 55 || strlen(span.trace_id) != 32 || strlen(span.span_id) != 16) {
        abort();
    }
    if (taken && (memcmp(header + 3, data + 3, 49) != 0 || span.sampled != parent.sampled)) {
        abort();
    }
    if (!taken && span.parent_id[0] != '\0') {
        abort();
    }
    aicps_traceparent again;
    if (!aicps_traceparent_parse(aicpi_slice_of(header, 55), &again)) {
        abort();
    }
    return 0;
}
