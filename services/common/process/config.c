/* Where settings come from. */
#include "services/common/process/config.h"

#include "lib/base/error.h"
#include "lib/base/file.h"
#include "lib/base/text.h"

#include <stdio.h>

aicp_status aicps_config_init(
    aicps_config *c, const aicp_allocator *a, const aicps_table tables[2], aicp_error *err) {
    *c = (aicps_config){.tables = {tables[0], tables[1]}};
    aicpi_arena_init(&c->arena, a, 16384, (size_t)16 << 20);
    aicpi_strbuf_init(&c->problems, a, (size_t)1 << 20);
    c->count = tables[0].count + tables[1].count;
    c->given = aicpi_arena_calloc(&c->arena, c->count + 1, sizeof *c->given);
    if (!c->given) {
        aicps_config_deinit(c);
        return AICP_ERR_NOMEM;
    }
    for (size_t i = 0; i < c->count; i++) {
        const aicps_setting *s = aicps_config_at(c, i, NULL);
        if (s->preset) {
            aicps_config_set(c, i, NULL, aicpi_slice_cstr(s->preset));
        }
    }
    if (c->problem_count > 0) {
        aicp_status status = aicpi_fail(
            err, AICP_ERR_INVALID, "a default does not fit its setting: %s", c->problems.data);
        aicps_config_deinit(c);
        return status;
    }
    return AICP_OK;
}

void aicps_config_deinit(aicps_config *c) {
    aicpi_arena_deinit(&c->arena);
    aicpi_strbuf_deinit(&c->problems);
}

const aicps_setting *aicps_config_at(const aicps_config *c, size_t index, void **target) {
    const aicps_table *t = &c->tables[index < c->tables[0].count ? 0 : 1];
    if (target) {
        *target = t->target;
    }
    return &t->settings[index < c->tables[0].count ? index : index - c->tables[0].count];
}

void aicps_config_problem(aicps_config *c, const char *where, const char *format, ...) {
    c->problem_count++;
    if (c->problem_count > AICPS_CONFIG_PROBLEMS_MAX) {
        return;
    }
    char text[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            *p = '?'; /* what was given must not steer a terminal */
        }
    }
    if (where) {
        aicpi_strbuf_printf(&c->problems, "%s: ", where);
    }
    aicpi_strbuf_printf(&c->problems, "%s\n", text);
}

size_t aicps_config_find(const aicps_config *c, aicpi_slice name) {
    for (size_t i = 0; i < c->count; i++) {
        if (aicpi_slice_is(name, aicps_config_at(c, i, NULL)->name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool aicps_config_is_section(const aicps_config *c, aicpi_slice name) {
    for (size_t i = 0; i < c->count; i++) {
        const char *known = aicps_config_at(c, i, NULL)->name;
        if (strlen(known) > name.len && memcmp(known, name.data, name.len) == 0 &&
            known[name.len] == '.') {
            return true;
        }
    }
    return false;
}

#define NAME_MAX_LEN 64

const char *aicps_config_nearest(const aicps_config *c, aicpi_slice name) {
    const char *best = NULL;
    size_t least = name.len < 4 ? 2 : name.len < 10 ? 3 : 4;
    for (size_t i = 0; i < c->count; i++) {
        const char *known = aicps_config_at(c, i, NULL)->name;
        size_t d = aicpi_edit_distance(name, aicpi_slice_cstr(known));
        if (d < least) {
            least = d;
            best = known;
        }
    }
    return best;
}

void aicps_config_file(aicps_config *c, const char *path) {
    aicp_buf text = AICP_BUF_INIT;
    aicp_error err = {0};
    if (aicpi_file_read(NULL, path, AICPS_CONFIG_FILE_MAX, &text, &err) != AICP_OK) {
        aicps_config_problem(c, "configuration file", "%s", err.message);
        return;
    }
    aicps_config_yaml(c, path, text.data, text.len);
    aicp_buf_free(&text);
}

void aicps_config_argument(aicps_config *c, const char *name_value) {
    const char *equals = strchr(name_value, '=');
    aicpi_slice name =
        aicpi_slice_of(name_value, equals ? (size_t)(equals - name_value) : strlen(name_value));
    size_t index = aicps_config_find(c, name);
    int shown = name.len > NAME_MAX_LEN ? NAME_MAX_LEN : (int)name.len;
    if (index == SIZE_MAX) {
        const char *near = aicps_config_nearest(c, name);
        aicps_config_problem(
            c,
            "--set",
            "unknown setting %.*s%s%s%s",
            shown,
            name.data,
            near ? "; did you mean " : "",
            near ? near : "",
            near ? "?" : "");
        return;
    }
    const aicps_setting *s = aicps_config_at(c, index, NULL);
    if (s->flags & AICPS_SETTING_SECRET) {
        /* Everybody on the machine can read command lines. */
        aicps_config_problem(
            c, "--set", "%s: a secret does not belong on the command line", s->name);
    } else if (!equals) {
        aicps_config_problem(c, "--set", "%s: write --set %s=VALUE", s->name, s->name);
    } else {
        aicps_config_set(c, index, "--set", aicpi_slice_cstr(equals + 1));
    }
}

/* Value of an environment variable; NULL when it is unset or empty: composition files write empty
 * variables for what nobody set. */
static const char *variable(const char *const *variables, const char *name, size_t len) {
    for (; variables && *variables; variables++) {
        if (strncmp(*variables, name, len) == 0 && (*variables)[len] == '=') {
            const char *value = *variables + len + 1;
            return *value ? value : NULL;
        }
    }
    return NULL;
}

static const char *source_of(aicps_config *c, const char *name, size_t len, const char *tail) {
    char text[160];
    (void)snprintf(text, sizeof text, "environment variable %.*s%s", (int)len, name, tail);
    return aicpi_arena_strndup(&c->arena, text, strlen(text));
}

static void secret_file(aicps_config *c, size_t index, const char *where, const char *path) {
    const aicps_setting *s = aicps_config_at(c, index, NULL);
    aicp_buf text = AICP_BUF_INIT;
    aicp_error err = {0};
    if (aicpi_file_read(NULL, path, AICPS_CONFIG_VALUE_MAX, &text, &err) != AICP_OK) {
        aicps_config_problem(c, where, "%s: %s", s->name, err.message);
        return;
    }
    size_t len = text.len;
    while (len > 0 && (text.data[len - 1] == '\n' || text.data[len - 1] == '\r')) {
        len--;
    }
    if (len == 0) {
        aicps_config_problem(c, where, "%s: the file is empty", s->name);
    } else {
        aicps_config_set(c, index, where, aicpi_slice_of(text.data, len));
    }
    aicp_buf_free(&text);
}

/* One name of the alternatives; true when it was set. */
static bool from_variable(
    aicps_config *c, size_t index, const char *const *variables, const char *name, size_t len) {
    const aicps_setting *s = aicps_config_at(c, index, NULL);
    const char *value = variable(variables, name, len);
    const char *path = NULL;
    if (s->flags & AICPS_SETTING_SECRET) {
        char file[120];
        int n = snprintf(file, sizeof file, "%.*s_FILE", (int)len, name);
        path = variable(variables, file, (size_t)n);
    }
    if (value && path) {
        aicps_config_problem(
            c,
            NULL,
            "%s: both %.*s and %.*s_FILE are set; keep one",
            s->name,
            (int)len,
            name,
            (int)len,
            name);
    } else if (path) {
        secret_file(c, index, source_of(c, name, len, "_FILE"), path);
    } else if (value) {
        aicps_config_set(c, index, source_of(c, name, len, ""), aicpi_slice_cstr(value));
    }
    return value || path;
}

void aicps_config_environment(aicps_config *c, const char *const *variables) {
    for (size_t i = 0; i < c->count; i++) {
        const char *names = aicps_config_at(c, i, NULL)->env;
        while (names) {
            const char *bar = strchr(names, '|');
            size_t len = bar ? (size_t)(bar - names) : strlen(names);
            if (from_variable(c, i, variables, names, len)) {
                break;
            }
            names = bar ? bar + 1 : NULL;
        }
    }
}

void aicps_config_finish(aicps_config *c) {
    for (size_t i = 0; i < c->count; i++) {
        const aicps_setting *s = aicps_config_at(c, i, NULL);
        if (!(s->flags & AICPS_SETTING_REQUIRED) || c->given[i].set) {
            continue;
        }
        if (s->env) {
            size_t len = strcspn(s->env, "|");
            aicps_config_problem(
                c,
                NULL,
                "%s: is required; set %.*s%s or %s in the configuration file",
                s->name,
                (int)len,
                s->env,
                s->flags & AICPS_SETTING_SECRET ? " (or its _FILE)" : "",
                s->name);
        } else {
            aicps_config_problem(
                c, NULL, "%s: is required; set it in the configuration file", s->name);
        }
    }
    if (c->problem_count > AICPS_CONFIG_PROBLEMS_MAX) {
        aicpi_strbuf_printf(
            &c->problems, "... and %zu more\n", c->problem_count - AICPS_CONFIG_PROBLEMS_MAX);
    }
    if (c->problems.failed && c->problem_count == 0) {
        c->problem_count = 1;
    }
}

static const char *type_name(const aicps_setting *s) {
    static const char *const names[] = {
        "", "text", "number", "true/false", "time", "size", "list", "URL"};
    return s->choices && s->type == AICPS_SETTING_TEXT ? s->choices : names[s->type];
}

void aicps_config_help(const aicps_config *c, aicpi_strbuf *out) {
    for (size_t i = 0; i < c->count; i++) {
        const aicps_setting *s = aicps_config_at(c, i, NULL);
        if (i == 0 || i == c->tables[0].count) {
            aicpi_strbuf_puts(
                out,
                i == 0 && c->tables[0].count > 0 ? "\nSettings of this service:\n"
                                                 : "\nSettings of every service:\n");
        }
        aicpi_strbuf_printf(out, "  %s  <%s>", s->name, type_name(s));
        if (s->flags & AICPS_SETTING_REQUIRED) {
            aicpi_strbuf_puts(out, "  required");
        } else if (s->preset) {
            aicpi_strbuf_printf(out, "  default %s", *s->preset ? s->preset : "\"\"");
        }
        aicpi_strbuf_printf(out, "\n      %s\n", s->doc ? s->doc : "");
        const char *names = s->env;
        if (names) {
            aicpi_strbuf_puts(out, "      Environment: ");
        }
        while (names) {
            size_t len = strcspn(names, "|");
            aicpi_strbuf_append(out, names, len);
            if (s->flags & AICPS_SETTING_SECRET) {
                aicpi_strbuf_printf(out, ", %.*s_FILE", (int)len, names);
            }
            names = names[len] ? names + len + 1 : NULL;
            aicpi_strbuf_puts(out, names ? ", else " : "\n");
        }
    }
}

void aicps_config_show(const aicps_config *c, aicpi_strbuf *out) {
    for (size_t i = 0; i < c->count; i++) {
        const aicps_given *g = &c->given[i];
        const char *value = g->set && g->shown ? g->shown : "";
        aicpi_strbuf_printf(out, "%s = ", aicps_config_at(c, i, NULL)->name);
        for (; *value; value++) {
            aicpi_strbuf_putc(out, (unsigned char)*value < ' ' || *value == 0x7f ? '?' : *value);
        }
        aicpi_strbuf_printf(
            out,
            "  (%s)\n",
            g->source ? g->source
            : g->set  ? "default"
                      : "not set");
    }
}
