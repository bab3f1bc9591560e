/* The system's clocks, behind the library's hook. */
#include "services/admin-api/admin.h"

#include "lib/base/clock.h"

#include <pthread.h>

static aicp_clock clocks;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make(void) {
    clocks = aicpi_clock(NULL);
}

int64_t aicpa_wall_ns(void) {
    pthread_once(&once, make);
    return aicpi_wall_ns(&clocks);
}

uint64_t aicpa_monotonic_ns(void) {
    pthread_once(&once, make);
    return aicpi_monotonic_ns(&clocks);
}
