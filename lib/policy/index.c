/* The index over the heads of rules. A rule stands under one constraint of its head, the one that
 * is likely to be met least; a rule without any is always a candidate. Keys are hashes: two that
 * collide only add candidates, whose heads are looked at in full anyway. */
#include "lib/policy/index.h"

/* What a constraint asks of the request's entity: to be this one, to be it or below it, or to have
 * this type. */
enum { BY_EQ, BY_IN, BY_IS, WAYS };
enum { VARS = 3, CONSTRAINTS = VARS * WAYS, NO_CONSTRAINT = CONSTRAINTS };

/* A key and its rules; the key of an empty slot is 0. */
typedef struct slot {
    uint64_t key;
    uint32_t start;
    uint32_t end;
} slot;

struct aicpi_policy_index {
    uint32_t *rules;
    uint32_t always; /* rules[0..always) are candidates of every request */
    slot *slots;
    size_t mask;
    bool used[CONSTRAINTS]; /* some rule stands under it */
};

/* ---- constraints ---- */

static uint64_t key_of(size_t constraint, uint64_t hash) {
    return (hash ^ (constraint + 1) * UINT64_C(0x9E3779B97F4A7C15)) | UINT64_C(1) << 63;
}

static bool has_constraint(const aicpi_policy_rule *rule, size_t constraint) {
    static const uint8_t ways[] = {
        [AICPI_POLICY_SCOPE_ANY] = 0,
        [AICPI_POLICY_SCOPE_EQ] = 1 << BY_EQ,
        [AICPI_POLICY_SCOPE_IN] = 1 << BY_IN,
        [AICPI_POLICY_SCOPE_IS] = 1 << BY_IS,
        [AICPI_POLICY_SCOPE_IS_IN] = 1 << BY_IN | 1 << BY_IS,
        [AICPI_POLICY_SCOPE_IN_LIST] = 1 << BY_IN};
    return ways[rule->scope[constraint / WAYS].kind] >> constraint % WAYS & 1;
}

/* A constraint has one name, or those of a list, of which a request must meet one. */
static uint32_t name_count(const aicpi_policy_rule *rule, size_t constraint) {
    const aicpi_policy_scope *s = &rule->scope[constraint / WAYS];
    return s->kind == AICPI_POLICY_SCOPE_IN_LIST ? s->count : 1;
}

static uint64_t name_key(const aicpi_policy_rule *rule, size_t constraint, uint32_t nth) {
    const aicpi_policy_scope *s = &rule->scope[constraint / WAYS];
    if (constraint % WAYS == BY_IS) {
        return key_of(constraint, s->type->hash);
    }
    return key_of(
        constraint, s->kind == AICPI_POLICY_SCOPE_IN_LIST ? s->list[nth]->hash : s->entity->hash);
}

/* ---- making ---- */

typedef struct tally {
    uint64_t key;   /* 0: empty */
    uint32_t named; /* how often heads name it */
    uint32_t under; /* how many rules stand under it */
} tally;

typedef struct builder {
    const aicp_allocator *allocator;
    const aicpi_policy_rule *rules;
    size_t count;
    uint8_t *chosen; /* constraint of each rule */
    tally *tallies;  /* open addressing */
    size_t mask;
    size_t tally_count;
} builder;

static tally *find_tally(tally *tallies, size_t mask, uint64_t key) {
    size_t at = (size_t)key & mask;
    while (tallies[at].key && tallies[at].key != key) {
        at = (at + 1) & mask;
    }
    return &tallies[at];
}

static bool grow_tallies(builder *b) {
    size_t slots = b->tallies ? (b->mask + 1) * 2 : 64;
    tally *grown = aicpi_calloc(b->allocator, slots, sizeof *grown);
    if (!grown) {
        return false;
    }
    for (size_t i = 0; b->tallies && i <= b->mask; i++) {
        if (b->tallies[i].key) {
            *find_tally(grown, slots - 1, b->tallies[i].key) = b->tallies[i];
        }
    }
    aicpi_free(b->allocator, b->tallies);
    b->tallies = grown;
    b->mask = slots - 1;
    return true;
}

static bool count_names(builder *b, const aicpi_policy_rule *rule, size_t constraint) {
    uint32_t names = name_count(rule, constraint);
    for (uint32_t n = 0; n < names; n++) {
        if ((!b->tallies || b->tally_count * 2 > b->mask) && !grow_tallies(b)) {
            return false;
        }
        uint64_t key = name_key(rule, constraint, n);
        tally *t = find_tally(b->tallies, b->mask, key);
        b->tally_count += t->key == 0;
        t->key = key;
        t->named++;
    }
    return true;
}

static bool count_all(builder *b) {
    for (size_t i = 0; i < b->count; i++) {
        for (size_t c = 0; c < CONSTRAINTS; c++) {
            if (has_constraint(&b->rules[i], c) && !count_names(b, &b->rules[i], c)) {
                return false;
            }
        }
    }
    return true;
}

/* How much work a constraint leaves: the rules that share its names, weighted with how often
 * requests meet such a name. A request is about one entity with some ancestors, but about an action
 * and types that most requests have. */
static uint64_t weigh(const builder *b, const aicpi_policy_rule *rule, size_t constraint) {
    static const uint8_t shift[WAYS] = {[BY_EQ] = 0, [BY_IN] = 2, [BY_IS] = 6};
    bool action = constraint / WAYS == AICPI_POLICY_VAR_ACTION;
    uint32_t names = name_count(rule, constraint);
    uint64_t sum = 0;
    for (uint32_t n = 0; n < names; n++) {
        sum += find_tally(b->tallies, b->mask, name_key(rule, constraint, n))->named;
    }
    return sum << shift[action ? BY_IS : constraint % WAYS];
}

static size_t choose(const builder *b, const aicpi_policy_rule *rule) {
    size_t best = NO_CONSTRAINT;
    uint64_t least = UINT64_MAX;
    for (size_t c = 0; c < CONSTRAINTS; c++) {
        uint64_t weight = has_constraint(rule, c) ? weigh(b, rule, c) : UINT64_MAX;
        if (weight < least) {
            best = c;
            least = weight;
        }
    }
    return best;
}

/* Chooses the constraint of each rule and counts what stands where. */
static void choose_all(builder *b, aicpi_policy_index *index) {
    for (size_t i = 0; i < b->count; i++) {
        const aicpi_policy_rule *rule = &b->rules[i];
        size_t c = choose(b, rule);
        b->chosen[i] = (uint8_t)c;
        if (c == NO_CONSTRAINT) {
            index->always++;
            continue;
        }
        index->used[c] = true;
        uint32_t names = name_count(rule, c);
        for (uint32_t n = 0; n < names; n++) {
            find_tally(b->tallies, b->mask, name_key(rule, c, n))->under++;
        }
    }
}

static slot *find_slot(const aicpi_policy_index *index, uint64_t key) {
    size_t at = (size_t)key & index->mask;
    while (index->slots[at].key && index->slots[at].key != key) {
        at = (at + 1) & index->mask;
    }
    return &index->slots[at];
}

/* Makes a slot for each key under which rules stand, with room for them. */
static bool make_slots(const builder *b, aicpi_arena *arena, aicpi_policy_index *index) {
    uint64_t places = index->always;
    size_t keys = 0;
    for (size_t i = 0; b->tallies && i <= b->mask; i++) {
        places += b->tallies[i].under;
        keys += b->tallies[i].under > 0;
    }
    size_t slots = 1;
    while (slots < keys * 2) {
        slots *= 2;
    }
    index->mask = slots - 1;
    index->slots = aicpi_arena_calloc(arena, slots, sizeof *index->slots);
    index->rules =
        places <= UINT32_MAX ? aicpi_arena_alloc(arena, (size_t)places * sizeof(uint32_t)) : NULL;
    if (!index->slots || !index->rules) {
        return false;
    }
    uint32_t place = index->always;
    for (size_t i = 0; b->tallies && i <= b->mask; i++) {
        const tally *t = &b->tallies[i];
        if (t->under > 0) {
            *find_slot(index, t->key) = (slot){.key = t->key, .start = place, .end = place};
            place += t->under;
        }
    }
    return true;
}

/* Puts the rules into their places, in their order. */
static void place_rules(const builder *b, const aicpi_policy_index *index) {
    uint32_t always = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        size_t c = b->chosen[i];
        if (c == NO_CONSTRAINT) {
            index->rules[always++] = i;
            continue;
        }
        uint32_t names = name_count(&b->rules[i], c);
        for (uint32_t n = 0; n < names; n++) {
            index->rules[find_slot(index, name_key(&b->rules[i], c, n))->end++] = i;
        }
    }
}

static bool build(builder *b, aicpi_arena *arena, aicpi_policy_index *index) {
    if (!index || !b->chosen || b->count > UINT32_MAX || !count_all(b)) {
        return false;
    }
    choose_all(b, index);
    if (!make_slots(b, arena, index)) {
        return false;
    }
    place_rules(b, index);
    return true;
}

const aicpi_policy_index *
aicpi_policy_index_make(aicpi_arena *arena, const aicpi_policy_rule *rules, size_t count) {
    aicpi_policy_index *index = aicpi_arena_calloc(arena, 1, sizeof *index);
    builder b = {.allocator = &arena->allocator, .rules = rules, .count = count};
    b.chosen = aicpi_calloc(b.allocator, count + 1, sizeof *b.chosen);
    bool fine = build(&b, arena, index);
    aicpi_free(b.allocator, b.chosen);
    aicpi_free(b.allocator, b.tallies);
    return fine ? index : NULL;
}

/* ---- finding ---- */

/* Lets the span at `root` sink to its place among the heap's. */
static void sink(aicpi_policy_span *heap, size_t count, size_t root) {
    aicpi_policy_span moved = heap[root];
    for (size_t child = 2 * root + 1; child < count; child = 2 * root + 1) {
        child += child + 1 < count && *heap[child + 1].at < *heap[child].at;
        if (*moved.at <= *heap[child].at) {
            break;
        }
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = moved;
}

static void look_up(const aicpi_policy_index *index, uint64_t key, aicpi_policy_candidates *out) {
    const slot *s = find_slot(index, key);
    if (s->key) {
        out->spans[out->span_count++] =
            (aicpi_policy_span){.at = index->rules + s->start, .end = index->rules + s->end};
    }
}

/* What the request says about one variable. */
typedef struct seen {
    const aicpi_policy_uid *uid;
    const aicpi_policy_ancestor *ancestors;
    uint32_t ancestor_count;
} seen;

static void look_up_variable(
    const aicpi_policy_index *index, size_t var, const seen *v, aicpi_policy_candidates *out) {
    size_t c = var * WAYS;
    if (index->used[c + BY_EQ]) {
        look_up(index, key_of(c + BY_EQ, v->uid->hash), out);
    }
    if (index->used[c + BY_IN]) {
        look_up(index, key_of(c + BY_IN, v->uid->hash), out);
        for (uint32_t i = 0; i < v->ancestor_count; i++) {
            look_up(index, key_of(c + BY_IN, v->ancestors[i].hash), out);
        }
    }
    if (index->used[c + BY_IS]) {
        look_up(index, key_of(c + BY_IS, v->uid->type->hash), out);
    }
}

bool aicpi_policy_index_find(
    const aicpi_policy_index *index,
    size_t rule_count,
    aicpi_policy_eval *x,
    aicpi_arena *arena,
    aicpi_policy_candidates *out) {
    *out = (aicpi_policy_candidates){.count = rule_count};
    if (!index) {
        return true;
    }
    seen vars[VARS];
    size_t most = 1; /* spans */
    for (size_t i = 0; i < VARS; i++) {
        vars[i] = (seen){.uid = x->vars[i].u.entity};
        if (index->used[i * WAYS + BY_IN] &&
            !aicpi_policy_eval_ancestors(
                x, vars[i].uid, &vars[i].ancestors, &vars[i].ancestor_count)) {
            return false;
        }
        most += WAYS + vars[i].ancestor_count;
    }
    if (most > rule_count) {
        return true; /* looking at all rules is less work */
    }
    out->spans = aicpi_arena_alloc(arena, most * sizeof *out->spans);
    if (!out->spans) {
        return false;
    }
    if (index->always > 0) {
        out->spans[out->span_count++] =
            (aicpi_policy_span){.at = index->rules, .end = index->rules + index->always};
    }
    for (size_t i = 0; i < VARS; i++) {
        look_up_variable(index, i, &vars[i], out);
    }
    for (size_t i = out->span_count / 2; i-- > 0;) {
        sink(out->spans, out->span_count, i);
    }
    return true;
}

bool aicpi_policy_candidates_next(aicpi_policy_candidates *c, size_t *rule) {
    if (!c->spans) {
        *rule = c->next++;
        return *rule < c->count;
    }
    while (c->span_count > 0) {
        aicpi_policy_span *first = &c->spans[0];
        size_t found = *first->at++;
        if (first->at == first->end) {
            *first = c->spans[--c->span_count];
        }
        if (c->span_count > 1) {
            sink(c->spans, c->span_count, 0);
        }
        if (found >= c->next) { /* else given before, from another span */
            c->next = found + 1;
            *rule = found;
            return true;
        }
    }
    return false;
}
