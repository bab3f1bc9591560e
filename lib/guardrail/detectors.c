/* The one list of detectors: a new one is its file and a line here. */
#include "lib/guardrail/guardrail_internal.h"

#define DETECTORS(X)                                                                               \
    X(email)                                                                                       \
    X(card)                                                                                        \
    X(iban)                                                                                        \
    X(us_ssn)                                                                                      \
    X(phone)                                                                                       \
    X(ip)                                                                                          \
    X(secrets)                                                                                     \
    X(private_key)                                                                                 \
    X(jwt)                                                                                         \
    X(invisible)                                                                                   \
    X(injection)

#define DECLARE(name) extern const aicpi_guard_detector aicpi_guard_detector_##name;
DETECTORS(DECLARE)
#undef DECLARE

#define LIST(name) &aicpi_guard_detector_##name,
const aicpi_guard_detector *const aicpi_guard_detectors[] = {DETECTORS(LIST)};
#undef LIST

const size_t aicpi_guard_detector_count =
    sizeof aicpi_guard_detectors / sizeof *aicpi_guard_detectors;

size_t aicpi_guard_rule_base(size_t detector) {
    size_t base = 0;
    for (size_t i = 0; i < detector; i++) {
        base += aicpi_guard_detectors[i]->rule_count;
    }
    return base;
}

size_t aicp_guard_rule_count(void) {
    return aicpi_guard_rule_base(aicpi_guard_detector_count);
}

const aicp_guard_rule *aicp_guard_rule_at(size_t index) {
    for (size_t i = 0; i < aicpi_guard_detector_count; i++) {
        const aicpi_guard_detector *d = aicpi_guard_detectors[i];
        if (index < d->rule_count) {
            return &d->rules[index];
        }
        index -= d->rule_count;
    }
    return NULL;
}
