#include "aicp/base.h"

const char *aicp_version(void) {
    return AICP_VERSION_STRING;
}
