// A C++17 program as a user writes it: handles in unique_ptr, errors as exceptions.
#include <aicp/aicp.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

struct failure : std::runtime_error {
    failure(aicp_status status, const aicp_error &err)
        : std::runtime_error(std::string(aicp_status_name(status)) + ": " + err.message),
          code(status) {}
    aicp_status code;
};

void check(aicp_status status, const aicp_error &err) {
    if (status != AICP_OK) {
        throw failure(status, err);
    }
}

template <auto Free> struct freed_by {
    template <typename T> void operator()(T *handle) const {
        Free(handle);
    }
};
using rules_ptr = std::unique_ptr<aicp_limit_rules, freed_by<aicp_limit_rules_free>>;
using limiter_ptr = std::unique_ptr<aicp_limiter, freed_by<aicp_limiter_free>>;

rules_ptr parse_rules(std::string_view json) {
    aicp_error err = {};
    aicp_limit_rules_options options = AICP_LIMIT_RULES_OPTIONS_INIT;
    aicp_limit_rules *rules = nullptr;
    check(aicp_limit_rules_parse(json.data(), json.size(), &options, &rules, &err), err);
    return rules_ptr(rules);
}

limiter_ptr new_limiter() {
    aicp_error err = {};
    aicp_limiter *limiter = nullptr;
    check(aicp_limiter_new(nullptr, &limiter, &err), err);
    return limiter_ptr(limiter);
}

bool take(aicp_limiter *limiter, const aicp_limit_rules *rules, std::string_view team) {
    aicp_error err = {};
    aicp_limit_value value = {AICP_LIMIT_TEAM, 0, team.data(), team.size()};
    aicp_limit_request request = AICP_LIMIT_REQUEST_INIT;
    aicp_limit_result result = AICP_LIMIT_RESULT_INIT;
    request.values = &value;
    request.value_count = 1;
    aicp_status status = aicp_limiter_take(limiter, rules, &request, nullptr, &result, &err);
    if (status != AICP_ERR_RATE_LIMITED) {
        check(status, err);
    }
    return result.allowed == 1;
}

} // namespace

int main() {
    rules_ptr rules = parse_rules(
        R"([{"id": "two", "kind": "requests", "limit": 2, "window": "1h", "per": ["team"]}])");
    limiter_ptr limiter = new_limiter();
    bool first = take(limiter.get(), rules.get(), "red");
    bool second = take(limiter.get(), rules.get(), "red");
    bool third = take(limiter.get(), rules.get(), "red");
    bool other = take(limiter.get(), rules.get(), "blue");
    if (!first || !second || third || !other) {
        std::fprintf(stderr, "two of three must pass, and another team is not touched\n");
        return 1;
    }
    try {
        parse_rules("[{\"id\": }]");
        std::fprintf(stderr, "malformed rules were accepted\n");
        return 1;
    } catch (const failure &error) {
        std::printf("libaicp %s: %s\n", aicp_version(), error.what());
        return error.code == AICP_ERR_PARSE ? 0 : 1;
    }
}
