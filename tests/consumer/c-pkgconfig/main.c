/* A C99 program as a user writes it: flags from pkg-config, one umbrella header. */
#include <aicp/aicp.h>

#include <stdio.h>
#include <string.h>

int main(void) {
    if (strcmp(aicp_version(), AICP_VERSION_STRING) != 0) {
        fprintf(stderr, "header %s, library %s\n", AICP_VERSION_STRING, aicp_version());
        return 1;
    }
    int64_t nano = 0;
    char text[AICP_MONEY_TEXT_SIZE];
    aicp_error err;
    aicp_error_clear(&err);
    if (aicp_money_parse("0.0000125", 9, &nano, &err) != AICP_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    aicp_money_format(nano, text);
    if (nano != 12500 || strcmp(text, "0.0000125") != 0) {
        fprintf(stderr, "0.0000125 came back as %s\n", text);
        return 1;
    }
    if (aicp_money_parse("12 dollars", 10, &nano, &err) != AICP_ERR_PARSE ||
        err.code != AICP_ERR_PARSE || err.message[0] == '\0') {
        fprintf(stderr, "malformed money was not reported\n");
        return 1;
    }
    printf("libaicp %s: %s\n", aicp_version(), aicp_status_text(AICP_ERR_PARSE));
    return 0;
}
