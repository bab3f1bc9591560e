#include "lib/policy/suggest.h"

#include "lib/base/text.h"

#include <stdio.h>

aicpi_policy_near aicpi_policy_near_start(aicpi_slice name) {
    return (aicpi_policy_near){.name = name, .distance = name.len < 4 ? 2 : name.len < 10 ? 3 : 4};
}

void aicpi_policy_near_offer(aicpi_policy_near *near, aicpi_slice name) {
    size_t d = aicpi_edit_distance(near->name, name);
    /* A name of which nothing would stay is not near. */
    if (d < near->distance && d < name.len && d < near->name.len) {
        near->distance = d;
        near->best = name;
    }
}

aicpi_policy_near_words aicpi_policy_near_text(const aicpi_policy_near *near) {
    aicpi_policy_near_words out = {""};
    if (near->best.len > 0) {
        snprintf(
            out.text,
            sizeof out.text,
            "; did you mean %s?",
            aicpi_policy_brief_of(near->best).text);
    }
    return out;
}
