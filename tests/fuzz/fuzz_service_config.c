/* Configuration files: every value that is taken is within its setting's bounds, every refusal is
 * a line, and a secret is in none of them. */
#include "services/common/process/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct values {
    const char *url;
    const char *secret;
    const char *mode;
    const char *const *list;
    int64_t count;
    int64_t wait_ms;
    int64_t size;
    bool on;
} values;

#define AT(field) offsetof(values, field)

static const aicps_setting table[] = {
    {.name = "a.url", .type = AICPS_SETTING_URL, .offset = AT(url), .choices = "http|https"},
    {.name = "a.secret",
     .type = AICPS_SETTING_TEXT,
     .flags = AICPS_SETTING_SECRET,
     .offset = AT(secret),
     .min = 4,
     .max = 64},
    {.name = "mode",
     .type = AICPS_SETTING_TEXT,
     .offset = AT(mode),
     .preset = "x",
     .choices = "x|y"},
    {.name = "b.c.list", .type = AICPS_SETTING_LIST, .offset = AT(list), .min = 1, .max = 8},
    {.name = "count",
     .type = AICPS_SETTING_INT,
     .offset = AT(count),
     .preset = "1",
     .min = -5,
     .max = 5},
    {.name = "wait", .type = AICPS_SETTING_DURATION, .offset = AT(wait_ms)},
    {.name = "size", .type = AICPS_SETTING_SIZE, .offset = AT(size)},
    {.name = "on", .type = AICPS_SETTING_BOOL, .offset = AT(on)},
};

static void demand(bool truth) {
    if (!truth) {
        abort();
    }
}

static void check_values(const values *v) {
    demand(v->count >= -5 && v->count <= 5);
    demand(v->wait_ms >= 0 && v->size >= 0);
    demand(strcmp(v->mode, "x") == 0 || strcmp(v->mode, "y") == 0);
    demand(!v->url || !aicps_value_url(aicpi_slice_cstr(v->url)));
    demand(!v->secret || (strlen(v->secret) >= 4 && strlen(v->secret) <= 64));
    for (size_t i = 0; v->list && v->list[i]; i++) {
        demand(strlen(v->list[i]) >= 1 && strlen(v->list[i]) <= 8);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    values v = {0};
    aicps_config c;
    aicps_table tables[2] = {{table, sizeof table / sizeof *table, &v}, {NULL, 0, NULL}};
    if (size > AICPS_CONFIG_FILE_MAX || aicps_config_init(&c, NULL, tables, NULL) != AICP_OK) {
        return 0;
    }
    aicps_config_yaml(&c, "file", (const char *)data, size);
    aicps_config_finish(&c);
    check_values(&v);
    size_t lines = 0;
    for (size_t i = 0; i < c.problems.len; i++) {
        lines += c.problems.data[i] == '\n' ? 1 : 0;
    }
    demand(lines == c.problem_count || c.problem_count > AICPS_CONFIG_PROBLEMS_MAX);
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, (size_t)4 << 20);
    aicps_config_show(&c, &text);
    demand(!text.failed && strlen(text.data) == text.len);
    demand(!v.secret || strstr(text.data, "a.secret = (set)  (file:"));
    aicpi_strbuf_deinit(&text);
    aicps_config_deinit(&c);
    return 0;
}
