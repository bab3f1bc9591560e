/* A small service in a child process, and a client for it. */
#ifndef TESTS_UNIT_SERVICE_PROCESS_H
#define TESTS_UNIT_SERVICE_PROCESS_H

#include <sys/types.h>

typedef struct child {
    pid_t pid;
    int output;  /* what it writes to both of its outputs */
    int release; /* lets /slow go on */
    int port;
    char log[60000];
    size_t log_len;
} child;

typedef struct answer {
    int status;
    char head[4000];
    char body[60000];
} answer;

/* `environment`: name, value, ..., NULL; `arguments` end with NULL; both may be NULL. */
void child_run(child *c, const char *const *environment, const char *const *arguments);
/* The same on a free port, and waits until it listens. */
void child_start(child *c, const char *const *environment, const char *const *arguments);
void child_wait_for(child *c, const char *text); /* in its output */
void child_release(child *c);
int child_end(child *c); /* waits for its end; gives its exit status */
int child_stop(child *c, int signal_number);

int connect_to(const child *c);
answer ask_on(int fd, const char *line); /* on a connection that stays open */
int request_send(const child *c, const char *line, const char *headers);
answer request_read(int fd);
answer request(const child *c, const char *line, const char *headers);
answer get(const child *c, const char *path);

#endif
