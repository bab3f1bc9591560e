/* The only door to libyaml: configuration files. Only what settings need is understood: sections,
 * plain values and lists of them. Anchors, aliases and tags are refused, so that a small file
 * cannot grow large and text stays text. */
#include "services/common/process/config.h"

#include "lib/base/hash.h"

#include <stdio.h>
#include <yaml.h>

#define ITEMS_MAX 1000
#define SKIP_DEPTH 64
#define PATH_MAX_LEN 512

typedef struct reader {
    aicps_config *config;
    const char *name; /* of the file */
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    bool dead; /* a mistake of syntax: nothing more can be read */
    aicpi_strbuf path;
    aicpi_map seen; /* paths, to find duplicates; the value is where */
} reader;

static const char *where_at(reader *r, const yaml_mark_t *mark) {
    char text[400];
    (void)snprintf(text, sizeof text, "%.300s:%zu:%zu", r->name, mark->line + 1, mark->column + 1);
    return aicpi_arena_strndup(&r->config->arena, text, strlen(text));
}

static const char *where(reader *r) {
    return where_at(r, &r->event.start_mark);
}

static bool next(reader *r) {
    if (r->has_event) {
        yaml_event_delete(&r->event);
        r->has_event = false;
    }
    if (r->dead) {
        return false;
    }
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        const char *problem = r->parser.problem ? r->parser.problem : "cannot be read";
        aicps_config_problem(
            r->config, where_at(r, &r->parser.problem_mark), "not valid YAML: %s", problem);
        r->dead = true;
        return false;
    }
    r->has_event = true;
    return true;
}

/* Reads over the value whose first event is at hand. */
static void skip(reader *r) {
    size_t depth = 0;
    do {
        switch (r->event.type) {
        case YAML_MAPPING_START_EVENT:
        case YAML_SEQUENCE_START_EVENT:
            depth++;
            break;
        case YAML_MAPPING_END_EVENT:
        case YAML_SEQUENCE_END_EVENT:
            depth--;
            break;
        default:
            break;
        }
        if (depth > SKIP_DEPTH) {
            aicps_config_problem(r->config, where(r), "nested too deeply");
            r->dead = true;
        }
    } while (depth > 0 && next(r));
}

/* Anchor and tag of the event at hand. False: refused. */
static bool is_plain(reader *r) {
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    switch (r->event.type) {
    case YAML_ALIAS_EVENT:
        anchor = r->event.data.alias.anchor;
        break;
    case YAML_SCALAR_EVENT:
        anchor = r->event.data.scalar.anchor;
        tag = r->event.data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = r->event.data.sequence_start.anchor;
        tag = r->event.data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = r->event.data.mapping_start.anchor;
        tag = r->event.data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor) {
        aicps_config_problem(r->config, where(r), "anchors and aliases are not allowed");
    } else if (tag) {
        aicps_config_problem(r->config, where(r), "tags are not allowed");
    }
    return !anchor && !tag;
}

static aicpi_slice scalar(const reader *r) {
    return aicpi_slice_of((const char *)r->event.data.scalar.value, r->event.data.scalar.length);
}

static bool is_null(const reader *r) {
    aicpi_slice text = scalar(r);
    return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.len == 0 || aicpi_slice_is(text, "~") || aicpi_slice_is(text, "null"));
}

static void read_list(reader *r, size_t index) {
    const aicps_setting *s = aicps_config_at(r->config, index, NULL);
    const char *at = where(r);
    aicpi_slice *items = aicpi_arena_calloc(&r->config->arena, ITEMS_MAX, sizeof *items);
    size_t count = 0;
    bool good = items != NULL;
    while (next(r) && r->event.type != YAML_SEQUENCE_END_EVENT) {
        if (!is_plain(r)) {
            good = false;
            skip(r);
        } else if (r->event.type != YAML_SCALAR_EVENT || is_null(r)) {
            aicps_config_problem(r->config, where(r), "%s: a list holds plain values", s->name);
            good = false;
            skip(r);
        } else if (count == ITEMS_MAX) {
            aicps_config_problem(
                r->config, where(r), "%s: more than %d values", s->name, ITEMS_MAX);
            r->dead = true;
        } else if (good) {
            aicpi_slice text = scalar(r);
            items[count].data = aicpi_arena_strndup(&r->config->arena, text.data, text.len);
            items[count].len = text.len;
            good = items[count++].data != NULL;
        }
    }
    if (good && !r->dead) {
        aicps_config_set_list(r->config, index, at, items, count);
    }
}

static void read_setting(reader *r, size_t index) {
    const aicps_setting *s = aicps_config_at(r->config, index, NULL);
    if (!is_plain(r)) {
        skip(r);
    } else if (r->event.type == YAML_SCALAR_EVENT && is_null(r)) {
        aicps_config_problem(r->config, where(r), "%s: has no value", s->name);
    } else if (r->event.type == YAML_SCALAR_EVENT) {
        aicps_config_set(r->config, index, where(r), scalar(r));
    } else if (r->event.type == YAML_SEQUENCE_START_EVENT && s->type == AICPS_SETTING_LIST) {
        read_list(r, index);
    } else {
        aicps_config_problem(
            r->config,
            where(r),
            r->event.type == YAML_SEQUENCE_START_EVENT ? "%s: takes one value, not a list"
                                                       : "%s: takes a value, not a section",
            s->name);
        skip(r);
    }
}

static void read_section(reader *r, size_t depth);

/* The value of the name that stands at the end of the path. */
static void read_value(reader *r, const char *key_at, size_t depth) {
    aicpi_slice path = aicpi_slice_of(r->path.data, r->path.len);
    size_t index = aicps_config_find(r->config, path);
    if (index != SIZE_MAX) {
        read_setting(r, index);
        return;
    }
    if (!aicps_config_is_section(r->config, path)) {
        const char *near = aicps_config_nearest(r->config, path);
        aicps_config_problem(
            r->config,
            key_at,
            "unknown setting %.*s%s%s%s",
            path.len > 100 ? 100 : (int)path.len,
            path.data,
            near ? "; did you mean " : "",
            near ? near : "",
            near ? "?" : "");
        skip(r);
    } else if (!is_plain(r)) {
        skip(r);
    } else if (r->event.type == YAML_MAPPING_START_EVENT && depth < AICPS_CONFIG_DEPTH) {
        read_section(r, depth + 1);
    } else if (!(r->event.type == YAML_SCALAR_EVENT && is_null(r))) {
        aicps_config_problem(
            r->config, where(r), "%.*s: is a section, not a value", (int)path.len, path.data);
        skip(r);
    }
}

/* Remembers the path; false when it was there before. */
static bool is_first(reader *r, const char *key_at) {
    char *path = aicpi_arena_strndup(&r->config->arena, r->path.data, r->path.len);
    bool inserted = false;
    aicpi_map_slot *slot = path ? aicpi_map_put(&r->seen, path, r->path.len, &inserted) : NULL;
    if (!slot) {
        aicps_config_problem(r->config, key_at, "out of memory");
        r->dead = true;
        return false;
    }
    if (inserted) {
        slot->value.u64 = r->event.start_mark.line + 1;
        return true;
    }
    aicps_config_problem(
        r->config,
        key_at,
        "%s: is there twice, first in line %llu",
        path,
        (unsigned long long)slot->value.u64);
    return false;
}

/* The mapping whose start event is at hand. */
static void read_section(reader *r, size_t depth) {
    size_t outer = r->path.len;
    while (next(r) && r->event.type != YAML_MAPPING_END_EVENT) {
        const char *key_at = where(r);
        aicpi_slice key = r->event.type == YAML_SCALAR_EVENT ? scalar(r) : AICPI_SLICE("");
        bool good = is_plain(r);
        if (good && (key.len == 0 || memchr(key.data, '\0', key.len))) {
            aicps_config_problem(r->config, key_at, "a name is plain text");
            good = false;
        }
        if (good) {
            aicpi_strbuf_puts(&r->path, outer > 0 ? "." : "");
            aicpi_strbuf_append(&r->path, key.data, key.len);
            if (r->path.failed) {
                aicps_config_problem(r->config, key_at, "a name is too long");
                r->dead = true;
                return;
            }
            good = is_first(r, key_at);
        } else {
            skip(r);
        }
        if (!next(r)) {
            return;
        }
        if (good) {
            read_value(r, key_at, depth);
        } else {
            skip(r);
        }
        if (r->path.len > outer) {
            r->path.len = outer;
            r->path.data[outer] = '\0';
        }
    }
}

static void read_stream(reader *r) {
    bool had_document = false;
    while (next(r) && r->event.type != YAML_STREAM_END_EVENT) {
        switch (r->event.type) {
        case YAML_DOCUMENT_START_EVENT:
            if (had_document) {
                aicps_config_problem(r->config, where(r), "a second document is not allowed");
                return;
            }
            had_document = true;
            break;
        case YAML_MAPPING_START_EVENT:
            if (is_plain(r)) {
                read_section(r, 0);
            } else {
                skip(r);
            }
            break;
        case YAML_SCALAR_EVENT:
        case YAML_SEQUENCE_START_EVENT:
        case YAML_ALIAS_EVENT:
            if (r->event.type != YAML_SCALAR_EVENT || !is_null(r)) {
                aicps_config_problem(r->config, where(r), "the file must hold names and values");
                skip(r);
            }
            break;
        default:
            break;
        }
    }
}

void aicps_config_yaml(aicps_config *c, const char *name, const char *data, size_t len) {
    reader r = {.config = c, .name = name};
    if (!yaml_parser_initialize(&r.parser)) {
        aicps_config_problem(c, name, "out of memory");
        return;
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)data, len);
    aicpi_strbuf_init(&r.path, NULL, PATH_MAX_LEN);
    aicpi_map_init(&r.seen, NULL);
    read_stream(&r);
    if (r.has_event) {
        yaml_event_delete(&r.event);
    }
    aicpi_map_deinit(&r.seen);
    aicpi_strbuf_deinit(&r.path);
    yaml_parser_delete(&r.parser);
}
