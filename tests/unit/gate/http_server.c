/* The same server as in the tests of the HTTP client. */
#include "unit/net/http_server.c"
