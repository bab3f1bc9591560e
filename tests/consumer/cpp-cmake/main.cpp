// A C++17 program as a user writes it: handles in unique_ptr, errors as exceptions.
#include <aicp/aicp.h>

#include <cstdio>
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

std::int64_t money(std::string_view text) {
    aicp_error err = {};
    std::int64_t nano = 0;
    aicp_status status = aicp_money_parse(text.data(), text.size(), &nano, &err);
    if (status != AICP_OK) {
        throw failure(status, err);
    }
    return nano;
}

} // namespace

int main() {
    if (money("1e-9") != 1 || money("12") != 12000000000) {
        std::fprintf(stderr, "money is read wrongly\n");
        return 1;
    }
    try {
        money("twelve");
        std::fprintf(stderr, "malformed money was accepted\n");
        return 1;
    } catch (const failure &error) {
        std::printf("libaicp %s: %s\n", aicp_version(), error.what());
        return error.code == AICP_ERR_PARSE ? 0 : 1;
    }
}
