/* Reading settings: defaults, file, environment, command line, in this order, each over the one
 * before. Every value is checked where it was given; mistakes are collected, one line each. */
#ifndef AICPS_PROCESS_CONFIG_H
#define AICPS_PROCESS_CONFIG_H

#include "services/common/process/process.h"

#define AICPS_CONFIG_FILE_MAX ((size_t)256 << 10)
#define AICPS_CONFIG_VALUE_MAX ((size_t)64 << 10)
#define AICPS_CONFIG_DEPTH 8
#define AICPS_CONFIG_PROBLEMS_MAX 100

typedef struct aicps_table {
    const aicps_setting *settings;
    size_t count;
    void *target; /* the struct that gets the values */
} aicps_table;

typedef struct aicps_given {
    const char
        *source;       /* "FILE:3:5", "environment variable NAME", "--set"; NULL: default or none */
    const char *shown; /* the value as text, for people; secrets are "(set)" */
    bool set;          /* has a value, if only the default */
} aicps_given;

typedef struct aicps_config {
    aicpi_arena arena; /* of all values */
    aicps_table tables[2];
    aicps_given *given; /* one for each setting, those of tables[0] first */
    size_t count;
    aicpi_strbuf problems; /* lines */
    size_t problem_count;
} aicps_config;

/* Targets must be zeroed; gets the defaults in. */
aicp_status aicps_config_init(
    aicps_config *c, const aicp_allocator *a, const aicps_table tables[2], aicp_error *err);
void aicps_config_deinit(aicps_config *c);

/* Each returns nothing: what is wrong is added to the problems. */
void aicps_config_file(aicps_config *c, const char *path);
void aicps_config_yaml(aicps_config *c, const char *name, const char *data, size_t len);
void aicps_config_environment(aicps_config *c, const char *const *variables);
void aicps_config_argument(aicps_config *c, const char *name_value); /* of --set */
void aicps_config_finish(aicps_config *c);                           /* what is missing */

/* Adds one problem; `where` may be NULL. */
void aicps_config_problem(aicps_config *c, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Index of a setting, SIZE_MAX when there is none of that name. */
size_t aicps_config_find(const aicps_config *c, aicpi_slice name);
bool aicps_config_is_section(const aicps_config *c, aicpi_slice name);
/* The known name nearest to a wrong one, or NULL. */
const char *aicps_config_nearest(const aicps_config *c, aicpi_slice name);
const aicps_setting *aicps_config_at(const aicps_config *c, size_t index, void **target);

/* Checks and stores a value. */
void aicps_config_set(aicps_config *c, size_t index, const char *where, aicpi_slice text);
void aicps_config_set_list(
    aicps_config *c, size_t index, const char *where, const aicpi_slice *items, size_t count);

/* The text of --help about the settings, and of --check-config about their values. */
void aicps_config_help(const aicps_config *c, aicpi_strbuf *out);
void aicps_config_show(const aicps_config *c, aicpi_strbuf *out);

/* Bare readings of the value types, for tests and other parsers of settings. False: malformed or
 * too large. */
bool aicps_value_duration(aicpi_slice text, int64_t *ms);
bool aicps_value_size(aicpi_slice text, int64_t *bytes);
bool aicps_value_bool(aicpi_slice text, bool *out);
bool aicps_value_int(aicpi_slice text, int64_t *out);
/* NULL when it is a URL with a scheme and a host, else what is wrong. */
const char *aicps_value_url(aicpi_slice text);

#endif
