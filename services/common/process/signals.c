/* SIGTERM and SIGINT: the first asks for a drain, the second ends the process. */
#include "services/common/process/process_internal.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Signals are of the whole process, and their handlers can see nothing but globals. */
static volatile sig_atomic_t seen;
static volatile sig_atomic_t event_fd = -1;

static void on_signal(int signal_number) {
    (void)signal_number;
    if (seen) {
        _exit(1);
    }
    seen = 1;
    uint64_t one = 1;
    if (event_fd >= 0 && write(event_fd, &one, sizeof one) < 0) {
        _exit(1);
    }
}

static void install(void (*handler)(int)) {
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = handler;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

int aicps_signals_open(void) {
    seen = 0;
    event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd >= 0) {
        install(on_signal);
    }
    return event_fd;
}

void aicps_signals_close(void) {
    if (event_fd >= 0) {
        int fd = event_fd;
        install(SIG_DFL);
        event_fd = -1;
        (void)close(fd);
    }
}
