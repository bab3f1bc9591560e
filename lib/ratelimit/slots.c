/* Live slots of a key of kind concurrency: an array with stable places and a chain of free ones. A
 * slot has an id that is never used again, so that a late or second release cannot free another's
 * slot. */
#include "lib/ratelimit/ratelimit_internal.h"

static void give_place_back(aicpi_limit_slots *s, uint32_t place) {
    aicpi_limit_slot *slot = &s->items[place];
    if (slot->idle) {
        s->idle--;
    } else {
        s->live--;
    }
    *slot = (aicpi_limit_slot){.deadline = s->free};
    s->free = place + 1;
}

void aicpi_limit_slots_expire(aicpi_limit_slots *s, uint64_t now) {
    if (s->live + s->idle == 0 || now < s->next_deadline) {
        return;
    }
    uint64_t next = UINT64_MAX;
    for (uint32_t i = 0; i < s->count; i++) {
        aicpi_limit_slot *slot = &s->items[i];
        if (slot->id == 0) {
            continue;
        }
        if (slot->deadline <= now) {
            give_place_back(s, i);
        } else if (slot->deadline < next) {
            next = slot->deadline;
        }
    }
    s->next_deadline = next;
}

bool aicpi_limit_slots_reserve(aicpi_limit_slots *s, const aicp_allocator *a) {
    if (s->free != 0 || s->count < s->capacity) {
        return true;
    }
    size_t capacity = s->capacity;
    if (capacity >= UINT32_MAX / 4 ||
        !aicpi_grow(a, (void **)&s->items, &capacity, s->count, sizeof *s->items)) {
        return false;
    }
    s->capacity = (uint32_t)capacity;
    return true;
}

uint32_t aicpi_limit_slots_acquire(aicpi_limit_slots *s, uint64_t id, uint64_t deadline) {
    uint32_t place = s->count;
    if (s->free != 0) {
        place = s->free - 1;
        s->free = (uint32_t)s->items[place].deadline;
    } else {
        s->count++;
    }
    s->items[place] = (aicpi_limit_slot){.id = id, .deadline = deadline};
    if (s->live + s->idle == 0 || deadline < s->next_deadline) {
        s->next_deadline = deadline;
    }
    s->live++;
    return place;
}

aicpi_limit_slot *aicpi_limit_slots_get(aicpi_limit_slots *s, uint32_t place, uint64_t id) {
    if (id == 0 || place >= s->count || s->items[place].id != id || s->items[place].idle) {
        return NULL;
    }
    return &s->items[place];
}

void aicpi_limit_slots_release(aicpi_limit_slots *s, uint32_t place) {
    give_place_back(s, place);
}

static uint32_t live_after(const aicpi_limit_slots *s, uint64_t time) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const aicpi_limit_slot *slot = &s->items[i];
        live += slot->id != 0 && !slot->idle && slot->deadline > time;
    }
    return live;
}

uint64_t aicpi_limit_slots_free_at(const aicpi_limit_slots *s, uint64_t limit, uint64_t now) {
    if (limit == 0) {
        return AICP_LIMIT_NEVER;
    }
    uint64_t low = now;
    uint64_t high = aicpi_limit_slots_last_deadline(s);
    while (low < high) { /* least time at which fewer than `limit` are left: at most 64 rounds */
        uint64_t middle = low + (high - low) / 2;
        if (live_after(s, middle) < limit) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

uint64_t aicpi_limit_slots_last_deadline(const aicpi_limit_slots *s) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const aicpi_limit_slot *slot = &s->items[i];
        if (slot->id != 0 && slot->deadline > last) {
            last = slot->deadline;
        }
    }
    return last;
}
