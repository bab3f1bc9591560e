/* Table of reservations by id, heap by deadline, intrusive lists. Nothing is allocated once the
 * slabs are warm. */
#include "lib/budget/budget_internal.h"

#include <string.h>

#define SLAB_RECORDS 64

struct aicpi_budget_slab {
    aicpi_budget_slab *next;
    aicpi_budget_record records[SLAB_RECORDS];
};

void aicpi_budget_table_init(aicpi_budget_table *t, const aicp_allocator *a) {
    *t = (aicpi_budget_table){.allocator = *a, .seed = aicpi_hash_seed()};
}

void aicpi_budget_table_deinit(aicpi_budget_table *t) {
    while (t->slabs) {
        aicpi_budget_slab *next = t->slabs->next;
        aicpi_free(&t->allocator, t->slabs);
        t->slabs = next;
    }
    aicpi_free(&t->allocator, (void *)t->buckets);
    aicpi_free(&t->allocator, (void *)t->heap);
}

aicpi_budget_record *aicpi_budget_find(const aicpi_budget_table *t, aicpi_slice id) {
    if (!t->buckets) {
        return NULL;
    }
    uint64_t hash = aicpi_hash(t->seed, id.data, id.len);
    aicpi_budget_record *r = t->buckets[hash & t->mask];
    while (r && (r->hash != hash || r->id_len != id.len || memcmp(r->id, id.data, id.len) != 0)) {
        r = r->chain;
    }
    return r;
}

static bool grow_buckets(aicpi_budget_table *t, size_t wanted) {
    size_t size = t->buckets ? t->mask + 1 : 64;
    while (size < wanted) {
        size *= 2;
    }
    aicpi_budget_record **buckets = aicpi_calloc(&t->allocator, size, sizeof *buckets);
    if (!buckets) {
        return false;
    }
    for (size_t i = 0; t->buckets && i <= t->mask; i++) {
        for (aicpi_budget_record *r = t->buckets[i], *next; r; r = next) {
            next = r->chain;
            r->chain = buckets[r->hash & (size - 1)];
            buckets[r->hash & (size - 1)] = r;
        }
    }
    aicpi_free(&t->allocator, (void *)t->buckets);
    t->buckets = buckets;
    t->mask = size - 1;
    return true;
}

static bool grow_heap(aicpi_budget_table *t, size_t size) {
    aicpi_budget_record **heap = aicpi_calloc(&t->allocator, size, sizeof *heap);
    if (!heap) {
        return false;
    }
    if (t->heap) {
        memcpy((void *)heap, (void *)t->heap, t->heap_count * sizeof(aicpi_budget_record *));
    }
    aicpi_free(&t->allocator, (void *)t->heap);
    t->heap = heap;
    return true;
}

/* One more slab, with buckets and heap large enough for all records, so that nothing can fail
 * later.
 */
static bool grow(aicpi_budget_table *t) {
    size_t records = t->records + SLAB_RECORDS;
    if (!t->buckets || t->mask + 1 < records) {
        if (!grow_buckets(t, records)) {
            return false;
        }
        t->heap_room = 0;
    }
    if (t->heap_room == 0) {
        if (!grow_heap(t, t->mask + 1)) {
            return false;
        }
        t->heap_room = t->mask + 1;
    }
    aicpi_budget_slab *slab = aicpi_calloc(&t->allocator, 1, sizeof *slab);
    if (!slab) {
        return false;
    }
    slab->next = t->slabs;
    t->slabs = slab;
    for (size_t i = 0; i < SLAB_RECORDS; i++) {
        slab->records[i].chain = t->unused;
        t->unused = &slab->records[i];
    }
    t->records = records;
    return true;
}

aicpi_budget_record *aicpi_budget_record_new(aicpi_budget_table *t, aicpi_slice id) {
    if (!t->unused && !grow(t)) {
        return NULL;
    }
    aicpi_budget_record *r = t->unused;
    t->unused = r->chain;
    memset(r, 0, sizeof *r);
    r->id_len = (uint32_t)id.len;
    memcpy(r->id, id.data, id.len);
    r->hash = aicpi_hash(t->seed, id.data, id.len);
    return r;
}

void aicpi_budget_record_recycle(aicpi_budget_table *t, aicpi_budget_record *r) {
    r->chain = t->unused;
    t->unused = r;
}

void aicpi_budget_insert(aicpi_budget_table *t, aicpi_budget_record *r) {
    aicpi_budget_record **bucket = &t->buckets[r->hash & t->mask];
    r->chain = *bucket;
    *bucket = r;
    t->count++;
}

void aicpi_budget_remove(aicpi_budget_table *t, aicpi_budget_record *r) {
    aicpi_budget_record **at = &t->buckets[r->hash & t->mask];
    while (*at != r) {
        at = &(*at)->chain;
    }
    *at = r->chain;
    t->count--;
}

/* ---- heap ---- */

static void heap_put(aicpi_budget_table *t, size_t i, aicpi_budget_record *r) {
    t->heap[i] = r;
    r->heap_index = i + 1;
}

static void heap_up(aicpi_budget_table *t, size_t i, aicpi_budget_record *r) {
    while (i > 0 && t->heap[(i - 1) / 2]->deadline > r->deadline) {
        heap_put(t, i, t->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_put(t, i, r);
}

static void heap_down(aicpi_budget_table *t, size_t i, aicpi_budget_record *r) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= t->heap_count) {
            break;
        }
        if (child + 1 < t->heap_count && t->heap[child + 1]->deadline < t->heap[child]->deadline) {
            child++;
        }
        if (t->heap[child]->deadline >= r->deadline) {
            break;
        }
        heap_put(t, i, t->heap[child]);
        i = child;
    }
    heap_put(t, i, r);
}

void aicpi_budget_heap_remove(aicpi_budget_table *t, aicpi_budget_record *r) {
    if (r->heap_index == 0) {
        return;
    }
    size_t i = r->heap_index - 1;
    r->heap_index = 0;
    aicpi_budget_record *last = t->heap[--t->heap_count];
    if (last == r) {
        return;
    }
    if (i > 0 && t->heap[(i - 1) / 2]->deadline > last->deadline) {
        heap_up(t, i, last);
    } else {
        heap_down(t, i, last);
    }
}

void aicpi_budget_heap_set(aicpi_budget_table *t, aicpi_budget_record *r, uint64_t deadline) {
    aicpi_budget_heap_remove(t, r);
    r->deadline = deadline;
    heap_up(t, t->heap_count++, r);
}

/* ---- lists ---- */

void aicpi_budget_list_add(aicpi_budget_list *list, aicpi_budget_record *r) {
    r->next = NULL;
    r->previous = list->last;
    if (list->last) {
        list->last->next = r;
    } else {
        list->first = r;
    }
    list->last = r;
    list->count++;
}

void aicpi_budget_list_remove(aicpi_budget_list *list, aicpi_budget_record *r) {
    if (r->previous) {
        r->previous->next = r->next;
    } else {
        list->first = r->next;
    }
    if (r->next) {
        r->next->previous = r->previous;
    } else {
        list->last = r->previous;
    }
    r->next = NULL;
    r->previous = NULL;
    list->count--;
}
