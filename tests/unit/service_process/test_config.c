/* Settings: where they come from, what is refused, and how that is said. */
#include "services/common/process/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct values {
    const char *url;
    const char *secret;
    const char *const *origins;
    int64_t count;
    int64_t wait_ms;
    int64_t size;
    bool on;
    const char *mode;
    const char *needed;
    int64_t common_port;
} values;

#define AT(field) offsetof(values, field)

static const aicps_setting table[] = {
    {.name = "litellm.url",
     .env = "LITELLM_URL|LITELLM_BASE_URL",
     .type = AICPS_SETTING_URL,
     .offset = AT(url),
     .preset = "http://localhost:4000",
     .choices = "http|https",
     .doc = "Where LiteLLM is."},
    {.name = "litellm.key",
     .env = "LITELLM_KEY",
     .type = AICPS_SETTING_TEXT,
     .flags = AICPS_SETTING_SECRET,
     .offset = AT(secret),
     .min = 8,
     .max = 100,
     .doc = "Its key."},
    {.name = "cors.origins", .env = "CORS", .type = AICPS_SETTING_LIST, .offset = AT(origins)},
    {.name = "count",
     .env = "COUNT",
     .type = AICPS_SETTING_INT,
     .offset = AT(count),
     .preset = "7",
     .min = 1,
     .max = 100},
    {.name = "wait",
     .env = "WAIT",
     .type = AICPS_SETTING_DURATION,
     .offset = AT(wait_ms),
     .min = 100,
     .max = 60000},
    {.name = "size", .env = "SIZE", .type = AICPS_SETTING_SIZE, .offset = AT(size)},
    {.name = "on", .env = "ON", .type = AICPS_SETTING_BOOL, .offset = AT(on)},
    {.name = "mode",
     .env = "MODE",
     .type = AICPS_SETTING_TEXT,
     .offset = AT(mode),
     .preset = "fast",
     .choices = "fast|safe"},
    {.name = "needed",
     .env = "NEEDED",
     .type = AICPS_SETTING_TEXT,
     .flags = AICPS_SETTING_REQUIRED,
     .offset = AT(needed)},
};
static const aicps_setting common[] = {
    {.name = "server.port",
     .env = "PORT",
     .type = AICPS_SETTING_INT,
     .offset = AT(common_port),
     .preset = "80",
     .max = 65535}};

static values got;
static aicps_config config;

static void begin(void) {
    aicps_table tables[2] = {{table, sizeof table / sizeof *table, &got}, {common, 1, &got}};
    aicp_error err = {0};
    cr_assert_eq(aicps_config_init(&config, NULL, tables, &err), AICP_OK, "%s", err.message);
}

static void end(void) {
    aicps_config_deinit(&config);
}

static void yaml(const char *text) {
    aicps_config_yaml(&config, "f.yaml", text, strlen(text));
}

static const char *problems(void) {
    return config.problems.data ? config.problems.data : "";
}

/* The file is refused with these lines. */
static void refused(const char *text, const char *lines) {
    begin();
    yaml(text);
    cr_expect_str_eq(problems(), lines, "%s\ngave: %s", text, problems());
    end();
}

Test(config, defaults_are_in_force_when_nothing_is_given) {
    begin();
    cr_assert_str_eq(got.url, "http://localhost:4000");
    cr_assert_eq(got.count, 7);
    cr_assert_str_eq(got.mode, "fast");
    cr_assert_eq(got.common_port, 80);
    cr_assert_null(got.secret);
    end();
}

Test(config, file_gives_every_type) {
    begin();
    yaml("litellm:\n  url: https://proxy.example:4000/v1\n  key: \"12345678\"\n"
         "cors:\n  origins: [https://a.example, \"https://b.example\"]\n"
         "count: 9\nwait: 250ms\nsize: 64KiB\non: yes\nmode: safe\nneeded: x\n"
         "server: {port: 8086}\n");
    aicps_config_finish(&config);
    cr_assert_str_eq(problems(), "");
    cr_assert_str_eq(got.url, "https://proxy.example:4000/v1");
    cr_assert_str_eq(got.secret, "12345678");
    cr_assert_str_eq(got.origins[0], "https://a.example");
    cr_assert_str_eq(got.origins[1], "https://b.example");
    cr_assert_null(got.origins[2]);
    cr_assert_eq(got.count, 9);
    cr_assert_eq(got.wait_ms, 250);
    cr_assert_eq(got.size, 65536);
    cr_assert(got.on);
    cr_assert_str_eq(got.mode, "safe");
    cr_assert_eq(got.common_port, 8086);
    end();
}

Test(config, command_line_goes_over_environment_over_file_over_default) {
    const char *environment[] = {"COUNT=20", "MODE=safe", "PORT=", NULL};
    begin();
    yaml("count: 10\nsize: 5\nserver:\n  port: 81\n");
    aicps_config_environment(&config, environment);
    aicps_config_argument(&config, "count=30");
    cr_assert_str_eq(problems(), "");
    cr_assert_eq(got.count, 30);
    cr_assert_str_eq(got.mode, "safe");
    cr_assert_eq(got.size, 5);
    cr_assert_eq(got.common_port, 81, "an empty variable is unset");
    end();
}

Test(config, first_of_two_variable_names_wins) {
    const char *both[] = {"LITELLM_BASE_URL=http://b:1", "LITELLM_URL=http://a:1", NULL};
    begin();
    aicps_config_environment(&config, both);
    cr_assert_str_eq(got.url, "http://a:1");
    aicps_config_environment(&config, (const char *[]){"LITELLM_BASE_URL=http://b:1", NULL});
    cr_assert_str_eq(got.url, "http://b:1");
    end();
}

Test(config, lists_in_variables_are_split_at_commas) {
    begin();
    aicps_config_environment(&config, (const char *[]){"CORS= a , b,,c ", NULL});
    cr_assert_str_eq(got.origins[0], "a");
    cr_assert_str_eq(got.origins[1], "b");
    cr_assert_str_eq(got.origins[2], "c");
    cr_assert_null(got.origins[3]);
    end();
}

Test(config, secret_is_read_from_the_file_its_variable_names) {
    char path[] = "/tmp/aicp_secret_XXXXXX";
    char variable[80];
    int fd = mkstemp(path);
    cr_assert_eq(write(fd, "from-file\n", 10), 10);
    close(fd);
    snprintf(variable, sizeof variable, "LITELLM_KEY_FILE=%s", path);
    begin();
    aicps_config_environment(&config, (const char *[]){variable, NULL});
    cr_assert_str_eq(problems(), "");
    cr_assert_str_eq(got.secret, "from-file");
    aicps_config_environment(&config, (const char *[]){variable, "LITELLM_KEY=12345678", NULL});
    cr_assert_str_eq(
        problems(), "litellm.key: both LITELLM_KEY and LITELLM_KEY_FILE are set; keep one\n");
    end();
    unlink(path);
    begin();
    aicps_config_environment(&config, (const char *[]){variable, NULL});
    cr_assert(strstr(problems(), "environment variable LITELLM_KEY_FILE: litellm.key: "));
    end();
}

Test(config, secrets_and_passwords_are_never_shown) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, 100000);
    begin();
    yaml("litellm:\n  key: hush-hush-hush\n  url: https://user:hush@h.example/x?key=hush\n");
    aicps_config_show(&config, &text);
    cr_assert(strstr(text.data, "litellm.key = (set)  (f.yaml:2:8)\n"), "%s", text.data);
    cr_assert(
        strstr(text.data, "litellm.url = https://user:***@h.example/x  (f.yaml:3:8)\n"),
        "%s",
        text.data);
    cr_assert_null(strstr(text.data, "hush"));
    end();
    aicpi_strbuf_deinit(&text);
    refused(
        "litellm:\n  key: hush\n  url: ftp://u:hush@h/\n",
        "f.yaml:2:8: litellm.key: the value is shorter than 8 bytes\n"
        "f.yaml:3:8: litellm.url: the value has a scheme that is not one of http|https\n");
}

Test(config, secret_on_the_command_line_is_refused) {
    begin();
    aicps_config_argument(&config, "litellm.key=hush-hush-hush");
    cr_assert_str_eq(
        problems(), "--set: litellm.key: a secret does not belong on the command line\n");
    end();
}

Test(config, mistakes_of_the_command_line_are_named) {
    begin();
    aicps_config_argument(&config, "cuont=3");
    aicps_config_argument(&config, "count");
    aicps_config_argument(&config, "count=x");
    cr_assert_str_eq(
        problems(),
        "--set: unknown setting cuont; did you mean count?\n"
        "--set: count: write --set count=VALUE\n"
        "--set: count: \"x\" is not a whole number\n");
    end();
}

Test(config, every_mistake_of_a_file_is_said_with_its_place) {
    refused(
        "count: many\nwait: 5 parsecs\nsize: 1MB\non: maybe\nmode: slow\n"
        "litellm:\n  ulr: http://x\n",
        "f.yaml:1:8: count: \"many\" is not a whole number\n"
        "f.yaml:2:7: wait: \"5 parsecs\" is not a time such as 250ms, 30s, 5m, 2h or 1d\n"
        "f.yaml:3:7: size: \"1MB\" is not a size such as 4096, 64KiB, 1MiB or 1GiB\n"
        "f.yaml:4:5: on: \"maybe\" is neither true nor false\n"
        "f.yaml:5:7: mode: \"slow\" is not one of fast|safe\n"
        "f.yaml:7:3: unknown setting litellm.ulr; did you mean litellm.url?\n");
}

Test(config, bounds_are_kept) {
    refused(
        "count: 0\nwait: 99ms\nsize: -1\n",
        "f.yaml:1:8: count: \"0\" is below the least, 1\n"
        "f.yaml:2:7: wait: \"99ms\" is below the least, 100 ms\n"
        "f.yaml:3:7: size: \"-1\" is not a size such as 4096, 64KiB, 1MiB or 1GiB\n");
    refused(
        "count: 101\nwait: 2m\n",
        "f.yaml:1:8: count: \"101\" is above the most, 100\n"
        "f.yaml:2:7: wait: \"2m\" is above the most, 60000 ms\n");
}

Test(config, names_given_twice_are_refused) {
    refused("count: 1\ncount: 2\n", "f.yaml:2:1: count: is there twice, first in line 1\n");
    refused(
        "litellm:\n  url: http://a\nlitellm:\n  url: http://b\n",
        "f.yaml:3:1: litellm: is there twice, first in line 1\n");
    refused(
        "litellm:\n  url: http://a\nlitellm.url: http://b\n",
        "f.yaml:3:1: litellm.url: is there twice, first in line 2\n");
}

Test(config, shapes_that_do_not_fit_are_refused) {
    refused("count: [1]\n", "f.yaml:1:8: count: takes one value, not a list\n");
    refused("count: {a: 1}\n", "f.yaml:1:8: count: takes a value, not a section\n");
    refused("count:\n", "f.yaml:1:7: count: has no value\n");
    refused("litellm: 5\n", "f.yaml:1:10: litellm: is a section, not a value\n");
    refused(
        "cors:\n  origins: [a, [b]]\n", "f.yaml:2:16: cors.origins: a list holds plain values\n");
    refused("[1, 2]\n", "f.yaml:1:1: the file must hold names and values\n");
    refused("[1]: 2\n", "f.yaml:1:1: a name is plain text\n");
    refused("? [1]\n: 2\n", "f.yaml:1:3: a name is plain text\n");
    refused("count: 3\n---\ncount: 4\n", "f.yaml:2:1: a second document is not allowed\n");
}

Test(config, anchors_aliases_and_tags_are_refused) {
    refused(
        "count: &a 5\nsize: *a\n",
        "f.yaml:1:8: anchors and aliases are not allowed\n"
        "f.yaml:2:7: anchors and aliases are not allowed\n");
    refused("count: !!int 5\n", "f.yaml:1:8: tags are not allowed\n");
    refused(
        "x: &a [1,1]\ny: &b [*a,*a]\n",
        "f.yaml:1:1: unknown setting x\nf.yaml:2:1: unknown setting y\n");
}

Test(config, broken_yaml_is_told_with_its_place) {
    begin();
    yaml("count: 5\nsize: 1: 2\n");
    cr_assert_eq(strncmp(problems(), "f.yaml:2:8: not valid YAML: ", 28), 0, "%s", problems());
    end();
}

Test(config, an_empty_file_is_fine) {
    refused("", "");
    refused("# nothing\n", "");
    refused("litellm:\n", "");
}

Test(config, missing_settings_are_named_with_their_variable) {
    begin();
    aicps_config_finish(&config);
    cr_assert_str_eq(
        problems(), "needed: is required; set NEEDED or needed in the configuration file\n");
    end();
}

Test(config, unreadable_file_is_told) {
    begin();
    aicps_config_file(&config, "/nowhere/aicp.yaml");
    cr_assert(strstr(problems(), "/nowhere/aicp.yaml"), "%s", problems());
    end();
}

Test(config, urls_need_a_scheme_a_host_and_a_fair_port) {
    static const struct {
        const char *url;
        const char *mistake;
    } cases[] = {
        {"http://h", NULL},
        {"https://u:p@h.example:443/x?y#z", NULL},
        {"http://[::1]:80/", NULL},
        {"redis://h:6379/0", NULL},
        {"sqlite:/var/lib/x.db", NULL},
        {"postgresql:///db", NULL},
        {"localhost:4000", "has no :// after its scheme"},
        {"//h", "has no scheme such as https://"},
        {"http://", "has no host"},
        {"http://:80", "has no host"},
        {"http://h:0", "has a port that is not in 1 .. 65535"},
        {"http://h:65536", "has a port that is not in 1 .. 65535"},
        {"http://h:x", "has a port that is not in 1 .. 65535"},
        {"http://[::1", "has an unclosed '[' in its host"},
        {"http://h /", "has blanks or control characters in it"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *mistake = aicps_value_url(aicpi_slice_cstr(cases[i].url));
        cr_expect_str_eq(
            mistake ? mistake : "", cases[i].mistake ? cases[i].mistake : "", "%s", cases[i].url);
    }
}

Test(config, numbers_that_overflow_are_refused) {
    int64_t n = 0;
    cr_assert(aicps_value_int(AICPI_SLICE("-9223372036854775807"), &n));
    cr_assert_not(aicps_value_int(AICPI_SLICE("9223372036854775808"), &n));
    cr_assert_not(aicps_value_duration(AICPI_SLICE("9223372036854775807d"), &n));
    cr_assert_not(aicps_value_size(AICPI_SLICE("9223372036854775807GiB"), &n));
    cr_assert_not(aicps_value_int(AICPI_SLICE(""), &n));
    cr_assert(aicps_value_duration(AICPI_SLICE("30"), &n));
    cr_assert_eq(n, 30000, "a bare number is seconds");
}

Test(config, help_lists_settings_with_variable_default_and_type) {
    aicpi_strbuf text;
    aicpi_strbuf_init(&text, NULL, 100000);
    begin();
    aicps_config_help(&config, &text);
    cr_assert(
        strstr(
            text.data,
            "  litellm.url  <URL>  default http://localhost:4000\n      Where LiteLLM is.\n"
            "      Environment: LITELLM_URL, else LITELLM_BASE_URL\n"),
        "%s",
        text.data);
    cr_assert(strstr(text.data, "Environment: LITELLM_KEY, LITELLM_KEY_FILE\n"));
    cr_assert(strstr(text.data, "  needed  <text>  required\n"));
    cr_assert(strstr(text.data, "Settings of every service:\n  server.port  <number>  default 80"));
    end();
    aicpi_strbuf_deinit(&text);
}

Test(config, terminal_codes_in_values_are_not_repeated) {
    begin();
    yaml("mode: \"\\e[31mred\"\n");
    cr_assert_str_eq(problems(), "f.yaml:1:7: mode: \"?[31mred\" is not one of fast|safe\n");
    end();
}
