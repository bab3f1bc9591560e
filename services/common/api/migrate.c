/* Migrations from one set of SQL files for both engines. */
#include "services/common/api/api_internal.h"

#define STEPS_MAX 256
#define SCRIPT_MAX ((size_t)1 << 20)

extern const char *const aicps_api_migrations[];
extern const size_t aicps_api_migrations_count;

/* Leaves out the lines that are for the other engine. */
static void append_part(aicpi_strbuf *b, const char *step, const char *engine) {
    static const char MARK[] = "-- engine: ";
    bool on = true;
    while (*step) {
        size_t len = strcspn(step, "\n");
        len += step[len] == '\n';
        if (strncmp(step, MARK, sizeof MARK - 1) == 0) {
            aicpi_slice name = {step + sizeof MARK - 1, len - (sizeof MARK - 1)};
            while (name.len > 0 && strchr("\r\n ", name.data[name.len - 1])) {
                name.len--;
            }
            on = aicpi_slice_is(name, "any") || aicpi_slice_is(name, engine);
        } else if (on) {
            aicpi_strbuf_append(b, step, len);
        }
        step += len;
    }
}

aicp_status aicps_migrate(
    aicpi_sql *db, const char *component, const char *const *steps, size_t count, aicp_error *err) {
    const char *engine = aicpi_sql_engine(db) == AICPI_SQL_POSTGRES ? "postgresql" : "sqlite";
    const char *scripts[STEPS_MAX];
    if (count > STEPS_MAX) {
        return aicpi_fail(err, AICP_ERR_LIMIT, "%s has too many migrations", component);
    }
    aicpi_arena arena;
    aicpi_strbuf b;
    aicpi_arena_init(&arena, NULL, 0, 0);
    aicpi_strbuf_init(&b, NULL, SCRIPT_MAX);
    aicp_status s = AICP_OK;
    for (size_t i = 0; i < count && s == AICP_OK; i++) {
        aicpi_strbuf_clear(&b);
        append_part(&b, steps[i], engine);
        scripts[i] = b.failed ? NULL : aicpi_arena_strndup(&arena, b.data, b.len);
        s = scripts[i] ? AICP_OK : aicpi_nomem(err);
    }
    if (s == AICP_OK) {
        s = aicpi_sql_migrate(db, component, scripts, count, err);
    }
    aicpi_strbuf_deinit(&b);
    aicpi_arena_deinit(&arena);
    return s;
}

aicp_status aicps_api_migrate(aicpi_sql *db, aicp_error *err) {
    return aicps_migrate(db, "api", aicps_api_migrations, aicps_api_migrations_count, err);
}
