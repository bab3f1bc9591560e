/* A private Redis server on a free port of the loopback address, with nothing on disk. It ends with
 * the program that started it, however that ends. */
#ifndef TESTS_UNIT_REDIS_SERVER_H
#define TESTS_UNIT_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct redis_server {
    pid_t pid; /* 0: not running */
    int port;
    char url[64];
} redis_server;

/* `more` are further arguments of redis-server, NULL-terminated; NULL: none. False: it cannot be
 * started. */
bool redis_server_start(redis_server *s, const char *const *more);
/* On the same port again. */
bool redis_server_restart(redis_server *s);
/* At once, as in a crash. */
void redis_server_kill(redis_server *s);
/* Sends one command (an argument may stand in double quotes) and gives the first line of the
 * answer. */
bool redis_server_command(const redis_server *s, const char *command, char *line, size_t size);

#endif
