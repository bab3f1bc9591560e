#include "lib/policy/brief.h"

#include "lib/base/text.h"

#include <stdio.h>

aicpi_policy_brief aicpi_policy_brief_of(aicpi_slice text) {
    aicpi_policy_brief out;
    size_t n = 0;
    size_t at = 0;
    while (at < text.len) {
        uint32_t scalar = 0;
        size_t step = aicpi_utf8_decode(text.data + at, text.len - at, &scalar);
        bool plain = step > 0 && scalar >= 0x20 && scalar != 0x7F;
        size_t bytes = plain ? step : 1;
        if (n + bytes > AICPI_POLICY_BRIEF_MOST) {
            memcpy(out.text + n, "...", 3);
            n += 3;
            break;
        }
        if (plain) {
            memcpy(out.text + n, text.data + at, step);
        } else {
            out.text[n] = step > 0 ? ' ' : '?';
        }
        n += bytes;
        at += step > 0 ? step : 1;
    }
    out.text[n] = '\0';
    return out;
}

aicpi_policy_uid_brief aicpi_policy_brief_uid(const aicpi_policy_uid *uid) {
    aicpi_policy_uid_brief out;
    aicpi_policy_brief type = aicpi_policy_brief_str(uid->type);
    aicpi_policy_brief id = aicpi_policy_brief_str(uid->id);
    snprintf(out.text, sizeof out.text, "%s::\"%s\"", type.text, id.text);
    return out;
}
