/* Tokens of providers: a literal they begin with, a pattern, then entropy and stop words. A rule is
 * one line of the table. */
#include "lib/guardrail/guardrail_internal.h"

/* X(id, type, description, validation, action, entropy, pattern). Group 1 is the token; END keeps a
 * match from being the head of something longer. */
#define BEGIN "(?<![A-Za-z0-9])"
#define END "(?![A-Za-z0-9_-])"
#define SECRETS(X)                                                                                 \
    X("openai-project",                                                                            \
      "OPENAI_API_KEY",                                                                            \
      "OpenAI project, service or admin key",                                                      \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.5,                                                                                         \
      BEGIN "(sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200})" END)                               \
    X("openai-legacy",                                                                             \
      "OPENAI_API_KEY",                                                                            \
      "OpenAI key",                                                                                \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.5,                                                                                         \
      BEGIN "(sk-(?:[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48}))" END)                 \
    X("litellm-key",                                                                               \
      "LITELLM_API_KEY",                                                                           \
      "LiteLLM virtual key",                                                                       \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.2,                                                                                         \
      BEGIN "(sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{22})" END)                                      \
    X("anthropic",                                                                                 \
      "ANTHROPIC_API_KEY",                                                                         \
      "Anthropic key",                                                                             \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.5,                                                                                         \
      BEGIN "(sk-ant-(?:api|admin|sid|oat)[0-9]{2}-[A-Za-z0-9_-]{80,120})" END)                    \
    X("aws-access-key",                                                                            \
      "AWS_ACCESS_KEY",                                                                            \
      "AWS access key id",                                                                         \
      "entropy",                                                                                   \
      AICP_GUARD_BLOCK,                                                                            \
      3.0,                                                                                         \
      BEGIN "((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?![A-Za-z0-9])")                    \
    X("aws-secret-key",                                                                            \
      "AWS_SECRET_KEY",                                                                            \
      "AWS secret access key",                                                                     \
      "entropy, mixed characters, name beside it",                                                 \
      AICP_GUARD_BLOCK,                                                                            \
      4.2,                                                                                         \
      "(?i:(?:aws|secret_?access_?key)[a-z_. -]{0,30})[\"'`]{0,1}\\s{0,3}"                         \
      "(?:=>|:=|[=:,]|\\bis\\b|)\\s{0,3}[\"'`]{0,1}([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])")         \
    X("github-pat",                                                                                \
      "GITHUB_TOKEN",                                                                              \
      "GitHub personal access token",                                                              \
      "CRC-32 tail",                                                                               \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "(ghp_[A-Za-z0-9]{36,251})" END)                                                       \
    X("github-oauth",                                                                              \
      "GITHUB_TOKEN",                                                                              \
      "GitHub app, user, server or refresh token",                                                 \
      "CRC-32 tail",                                                                               \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "(gh[ousr]_[A-Za-z0-9]{36,251})" END)                                                  \
    X("github-fine-grained-pat",                                                                   \
      "GITHUB_TOKEN",                                                                              \
      "GitHub fine-grained token",                                                                 \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.5,                                                                                         \
      BEGIN "(github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})" END)                                    \
    X("gcp-api-key",                                                                               \
      "GOOGLE_API_KEY",                                                                            \
      "Google API key",                                                                            \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "(AIza[A-Za-z0-9_-]{35})" END)                                                         \
    X("slack-token",                                                                               \
      "SLACK_TOKEN",                                                                               \
      "Slack bot, user, app or refresh token",                                                     \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "(xox[abeoprs]-(?=[A-Za-z-]{0,10}[0-9])[A-Za-z0-9-]{20,200})" END)                     \
    X("slack-app",                                                                                 \
      "SLACK_TOKEN",                                                                               \
      "Slack app-level token",                                                                     \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "(xapp-[0-9]-[A-Z0-9]{8,14}-[0-9]{8,14}-[a-f0-9]{32,64})" END)                         \
    X("slack-webhook",                                                                             \
      "SLACK_WEBHOOK",                                                                             \
      "Slack incoming webhook",                                                                    \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      "(hooks\\.slack\\.com/services/T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}/[A-Za-z0-9]{18,36})" END)     \
    X("stripe",                                                                                    \
      "STRIPE_KEY",                                                                                \
      "Stripe secret or restricted key",                                                           \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "([sr]k_(?:live|test|prod)_[A-Za-z0-9]{16,160})" END)                                  \
    X("gitlab-pat",                                                                                \
      "GITLAB_TOKEN",                                                                              \
      "GitLab personal access token",                                                              \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "(glpat-[A-Za-z0-9_-]{20,64}(?:\\.[0-9a-z]{2,4}\\.[0-9a-z]{6,12})?)" END)              \
    X("gitlab-other",                                                                              \
      "GITLAB_TOKEN",                                                                              \
      "GitLab runner, deploy, feed or job token",                                                  \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "(gl(?:rt|dt|ft|cbt|ptt|soat|agent)-[A-Za-z0-9_-]{20,64})" END)                        \
    X("npm",                                                                                       \
      "NPM_TOKEN",                                                                                 \
      "npm access token",                                                                          \
      "CRC-32 tail",                                                                               \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "(npm_[A-Za-z0-9]{36})" END)                                                           \
    X("huggingface",                                                                               \
      "HUGGINGFACE_TOKEN",                                                                         \
      "Hugging Face token",                                                                        \
      "entropy",                                                                                   \
      AICP_GUARD_MASK,                                                                             \
      3.0,                                                                                         \
      BEGIN "((?:hf|api_org)_[A-Za-z0-9]{34})" END)

enum {
    OPENAI_PROJECT,
    OPENAI_LEGACY,
    LITELLM,
    ANTHROPIC,
    AWS_ID,
    AWS_SECRET,
    GITHUB_PAT,
    GITHUB_OAUTH,
    GITHUB_FINE,
    GOOGLE,
    SLACK,
    SLACK_APP,
    SLACK_WEBHOOK,
    STRIPE,
    GITLAB,
    GITLAB_OTHER,
    NPM,
    HUGGINGFACE,
};

#define AS_RULE(id, type, description, validation, action, entropy, pattern)                       \
    {id, type, description, validation, "", AICP_GUARD_SECRET, action, 0.9},
static const aicp_guard_rule rules[] = {SECRETS(AS_RULE)};

#define AS_PATTERN(id, type, description, validation, action, entropy, pattern) pattern,
static const char *const patterns[] = {SECRETS(AS_PATTERN)};

#define AS_ENTROPY(id, type, description, validation, action, entropy, pattern) entropy,
static const double entropies[] = {SECRETS(AS_ENTROPY)};

static const aicpi_guard_literal literals[] = {
    {"sk-proj-", OPENAI_PROJECT},
    {"sk-svcacct-", OPENAI_PROJECT},
    {"sk-admin-", OPENAI_PROJECT},
    {"sk-", OPENAI_LEGACY},
    {"sk-", LITELLM},
    {"sk-ant-", ANTHROPIC},
    {"A3T", AWS_ID},
    {"AKIA", AWS_ID},
    {"ASIA", AWS_ID},
    {"ABIA", AWS_ID},
    {"ACCA", AWS_ID},
    {"aws", AWS_SECRET},
    {"AWS", AWS_SECRET},
    {"Aws", AWS_SECRET},
    {"secret_access_key", AWS_SECRET},
    {"SECRET_ACCESS_KEY", AWS_SECRET},
    {"SecretAccessKey", AWS_SECRET},
    {"secretAccessKey", AWS_SECRET},
    {"ghp_", GITHUB_PAT},
    {"gho_", GITHUB_OAUTH},
    {"ghu_", GITHUB_OAUTH},
    {"ghs_", GITHUB_OAUTH},
    {"ghr_", GITHUB_OAUTH},
    {"github_pat_", GITHUB_FINE},
    {"AIza", GOOGLE},
    {"xoxa-", SLACK},
    {"xoxb-", SLACK},
    {"xoxe-", SLACK},
    {"xoxo-", SLACK},
    {"xoxp-", SLACK},
    {"xoxr-", SLACK},
    {"xoxs-", SLACK},
    {"xapp-", SLACK_APP},
    {"hooks.slack.com/", SLACK_WEBHOOK},
    {"sk_live_", STRIPE},
    {"sk_test_", STRIPE},
    {"sk_prod_", STRIPE},
    {"rk_live_", STRIPE},
    {"rk_test_", STRIPE},
    {"rk_prod_", STRIPE},
    {"glpat-", GITLAB},
    {"glrt-", GITLAB_OTHER},
    {"gldt-", GITLAB_OTHER},
    {"glft-", GITLAB_OTHER},
    {"glcbt-", GITLAB_OTHER},
    {"glptt-", GITLAB_OTHER},
    {"glsoat-", GITLAB_OTHER},
    {"glagent-", GITLAB_OTHER},
    {"npm_", NPM},
    {"hf_", HUGGINGFACE},
    {"api_org_", HUGGINGFACE},
};

/* ---- checks
 * ------------------------------------------------------------------------------------------ */

static uint32_t crc32_of(const char *data, size_t len) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        }
    }
    return ~crc;
}

/* GitHub and npm: the last 6 characters are the CRC-32 of the 30 before them in base 62. */
static bool has_crc_tail(const char *data, size_t len) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    if (len != 40) {
        return false;
    }
    uint32_t crc = crc32_of(data + 4, 30);
    for (size_t i = 0; i < 6; i++) {
        if (data[39 - i] != digits[crc % 62]) {
            return false;
        }
        crc /= 62;
    }
    return crc == 0;
}

static bool has_mixed_characters(const char *data, size_t len) {
    bool upper = false;
    bool lower = false;
    bool digit = false;
    for (size_t i = 0; i < len; i++) {
        upper = upper || (data[i] >= 'A' && data[i] <= 'Z');
        lower = lower || (data[i] >= 'a' && data[i] <= 'z');
        digit = digit || aicpi_is_digit(data[i]);
    }
    return upper && lower && digit;
}

static void confirm(aicpi_guard_probe *p, uint16_t rule) {
    aicpi_guard_groups groups;
    if (!aicpi_guard_match(p, rule, &groups) || groups.start[1] == SIZE_MAX) {
        return;
    }
    size_t start = groups.start[1];
    size_t end = groups.end[1];
    const char *token = p->data + start;
    size_t len = end - start;
    if (aicpi_guard_entropy(token, len) < entropies[rule] || aicpi_guard_is_dummy(token, len)) {
        return;
    }
    if (rule == AWS_SECRET && !has_mixed_characters(token, len)) {
        return;
    }
    bool crc =
        (rule == GITHUB_PAT || rule == GITHUB_OAUTH || rule == NPM) && has_crc_tail(token, len);
    aicpi_guard_report(p, rule, start, end, 0.9, crc);
}

const aicpi_guard_detector aicpi_guard_detector_secrets = {
    .name = "secrets",
    .rules = rules,
    .rule_count = sizeof rules / sizeof *rules,
    .patterns = patterns,
    .literals = literals,
    .literal_count = sizeof literals / sizeof *literals,
    .decoded = true,
    .confirm = confirm,
};
