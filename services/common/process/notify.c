/* systemd's protocol for services, without its library: datagrams to $NOTIFY_SOCKET. */
#include "services/common/process/process_internal.h"

#include "lib/base/text.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void aicps_notify(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = path ? strlen(path) : 0;
    if (len < 2 || len >= sizeof to.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* the abstract namespace */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to, size);
    (void)close(fd);
}

uint64_t aicps_notify_interval_ms(void) {
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    uint64_t value = 0;
    uint64_t owner = 0;
    if (!getenv("NOTIFY_SOCKET") || !aicpi_parse_u64(aicpi_slice_cstr(usec), &value)) {
        return 0;
    }
    if (pid && (!aicpi_parse_u64(aicpi_slice_cstr(pid), &owner) || owner != (uint64_t)getpid())) {
        return 0;
    }
    return value / 2000 > 0 ? value / 2000 : 1;
}
