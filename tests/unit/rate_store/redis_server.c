#include "unit/rate_store/redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MORE_MAX 8

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int free_port(void) {
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0 &&
              getsockname(fd, (struct sockaddr *)&address, &len) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return ok ? ntohs(address.sin_port) : 0;
}

static int connect_to(int port) {
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool redis_server_command(const redis_server *s, const char *command, char *line, size_t size) {
    char bytes[1024];
    int fd = connect_to(s->port);
    if (fd < 0) {
        return false;
    }
    int n = snprintf(bytes, sizeof bytes, "%s\r\n", command);
    bool ok = send(fd, bytes, (size_t)n, MSG_NOSIGNAL) == n;
    size_t len = 0;
    while (ok && len + 1 < size && recv(fd, line + len, 1, 0) == 1 && line[len] != '\n') {
        len++;
    }
    line[len] = '\0';
    close(fd);
    return len > 0;
}

static void exec_server(int port, const char *const *more, pid_t parent) {
    char number[16];
    snprintf(number, sizeof number, "%d", port);
    const char *argv[16 + MORE_MAX] = {
        "redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        number,
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        "/tmp"};
    size_t count = 11;
    for (size_t i = 0; more && more[i] && i < MORE_MAX; i++) {
        argv[count++] = more[i];
    }
    argv[count] = NULL;
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    dup2(null, 2);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) {
        execvp(argv[0], (char *const *)argv);
    }
    _exit(127);
}

static bool start_on(redis_server *s, int port, const char *const *more) {
    pid_t parent = getpid();
    s->port = port;
    s->pid = fork();
    if (s->pid == 0) {
        exec_server(port, more, parent);
    }
    char line[64];
    for (int i = 0; s->pid > 0 && i < 1000; i++) {
        if (waitpid(s->pid, NULL, WNOHANG) != 0) { /* the port may have been taken meanwhile */
            s->pid = 0;
            return false;
        }
        /* With a password the server refuses, which is an answer too. */
        if (redis_server_command(s, "PING", line, sizeof line) && !strstr(line, "LOADING")) {
            return true;
        }
        usleep(10000);
    }
    redis_server_kill(s);
    return false;
}

bool redis_server_start(redis_server *s, const char *const *more) {
    memset(s, 0, sizeof *s);
    for (int i = 0; i < 10; i++) {
        int port = free_port();
        if (port != 0 && start_on(s, port, more)) {
            snprintf(s->url, sizeof s->url, "redis://127.0.0.1:%d/1", port);
            return true;
        }
    }
    return false;
}

bool redis_server_restart(redis_server *s) {
    redis_server_kill(s);
    return start_on(s, s->port, NULL);
}

void redis_server_kill(redis_server *s) {
    if (s->pid > 0) {
        kill(s->pid, SIGKILL);
        waitpid(s->pid, NULL, 0);
    }
    s->pid = 0;
}
