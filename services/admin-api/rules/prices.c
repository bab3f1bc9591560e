/* Sections prices and overrides: LiteLLM's price map, and above it what the proxy says of its own
 * models (`admin_setting` "litellm_prices", kept by proxy/prices.c). */
#include "services/admin-api/rules/rules.h"

#include "lib/base/error.h"
#include "lib/base/file.h"

#include <stdio.h>
#include <unistd.h>

#define MAP_MAX ((size_t)64 << 20)

/* ../share/aicp beside the program's folder, both in the build tree and where it is installed. */
static aicp_status beside(char *path, size_t size, aicp_error *err) {
    ssize_t len = readlink("/proc/self/exe", path, size - 1);
    if (len <= 0) {
        return aicpi_fail(err, AICP_ERR_IO, "cannot tell where this program lies");
    }
    path[len] = 0;
    char *slash = strrchr(path, '/');
    size_t at = (size_t)(slash - path);
    int n = snprintf(path + at, size - at, "/../share/aicp/litellm_prices.json");
    return n > 0 && (size_t)n < size - at ? AICP_OK
                                          : aicpi_fail(err, AICP_ERR_LIMIT, "path too long");
}

aicp_status aicpa_prices_load(aicpa_admin *admin, aicp_error *err) {
    char path[1024];
    const char *file = admin->settings->price_map;
    aicp_buf *map = &admin->price_map;
    aicp_status status = file ? AICP_OK : beside(path, sizeof path, err);
    status = status ? status : aicpi_file_read(NULL, file ? file : path, MAP_MAX, map, err);
    return status ? status : aicp_price_table_parse(map->data, map->len, NULL, &admin->prices, err);
}

aicp_status aicpa_write_prices(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    (void)err;
    aicpi_strbuf_append(out, build->admin->price_map.data, build->admin->price_map.len);
    return AICP_OK;
}

aicp_status aicpa_write_overrides(aicpa_build *build, aicpi_strbuf *out, aicp_error *err) {
    struct json_object *value = aicpa_setting(build->db, "litellm_prices", err);
    bool some = value && json_object_is_type(value, json_type_object) &&
                json_object_object_length(value) > 0;
    if (!some) {
        json_object_put(value);
        return AICP_OK;
    }
    return aicpa_write_json(value, out, err);
}
