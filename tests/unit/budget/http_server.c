/* The server of the net suite stands for a control plane here. */
#include "unit/net/http_server.c"
