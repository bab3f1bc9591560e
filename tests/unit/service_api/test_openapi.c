/* The document that comes out of the tables. */
#include "unit/service_api/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(api_openapi, the_document_is_valid_openapi_3_1) {
    service s;
    service_open(&s, false);
    reply r = call_as(&s, NULL, "GET", "/openapi.json", NULL, NULL);
    REPLY_IS(r, 200);
    cr_assert(r.json);
    cr_expect_str_eq(aicps_text(r.json, "openapi").data, "3.1.0");
    struct json_object *paths = aicps_member(r.json, "paths");
    cr_expect(aicps_member(aicps_member(paths, "/api/v1/widgets/{id}"), "put"));
    cr_expect(aicps_member(aicps_member(paths, "/api/v1/echo/{path}"), "post"));
    struct json_object *schemas = aicps_member(aicps_member(r.json, "components"), "schemas");
    struct json_object *create = aicps_member(schemas, "WidgetCreate");
    cr_expect_not(aicps_member(aicps_member(create, "properties"), "id"));
    cr_expect(aicps_member(aicps_member(create, "properties"), "slug"));
    cr_expect_not(
        aicps_member(aicps_member(aicps_member(schemas, "WidgetUpdate"), "properties"), "slug"));
    /* a validator of its own, where one is installed */
    char path[] = "/tmp/openapi-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, r.body, strlen(r.body)), (ssize_t)strlen(r.body));
    close(fd);
    char command[512];
    (void)snprintf(
        command,
        sizeof command,
        "python3 -c 'import json,sys\n"
        "try:\n import openapi_spec_validator as v\n"
        "except ImportError: sys.exit(0)\n"
        "v.validate(json.load(open(\"%s\")))'",
        path);
    cr_expect_eq(system(command), 0);
    unlink(path);
    reply_free(&r);
    service_close(&s);
}
