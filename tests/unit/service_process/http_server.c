#include "tests/unit/net/http_server.c"
