/* The server of the net tests. */
#include "unit/net/http_server.c"
