/* The list of rate algorithms. A new one is a file beside this and one line here. */
#include "lib/ratelimit/algorithms.h"

static const aicpi_limit_algorithm *const ALGORITHMS[] = {
    &aicpi_limit_gcra,
    &aicpi_limit_fixed_window,
};

const aicpi_limit_algorithm *aicpi_limit_algorithm_get(int32_t number) {
    for (size_t i = 0; i < sizeof ALGORITHMS / sizeof *ALGORITHMS; i++) {
        if (ALGORITHMS[i]->number == number) {
            return ALGORITHMS[i];
        }
    }
    return NULL;
}

const aicpi_limit_algorithm *aicpi_limit_algorithm_find(aicpi_slice name) {
    for (size_t i = 0; i < sizeof ALGORITHMS / sizeof *ALGORITHMS; i++) {
        if (aicpi_slice_is(name, ALGORITHMS[i]->name)) {
            return ALGORITHMS[i];
        }
    }
    return NULL;
}
