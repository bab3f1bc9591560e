/* Build tool: compiles a .tiktoken vocabulary (base64 of a token, a space, its rank, per line) into
 * the block of tables that lib/cost/vocab.h describes.
 *
 *     vocab_compile IN.tiktoken OUT.bin
 */
#include "lib/cost/vocab.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_TOKENS = 1 << 20, MAX_BYTES = 1 << 26 };

static uint8_t *bytes;
static uint32_t *offsets;
static uint32_t tokens;
static uint32_t *by_hash; /* token by its bytes */
static uint32_t by_hash_mask;
static aicpi_vocab_pair *split;

static void *must_calloc(size_t count, size_t size) {
    void *p = calloc(count, size);
    if (p == NULL) {
        (void)fprintf(stderr, "vocab_compile: out of memory\n");
        exit(1);
    }
    return p;
}

static void die(const char *what, long line) {
    (void)fprintf(stderr, "vocab_compile: %s (line or token %ld)\n", what, line);
    exit(1);
}

static uint32_t length_of(uint32_t token) {
    return offsets[token + 1] - offsets[token];
}

/* ---- reading ---- */

static int base64_value(int c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static uint32_t decode_base64(const char *text, uint8_t *out, long line) {
    uint32_t n = 0;
    uint32_t bits = 0;
    uint32_t have = 0;
    for (; *text != ' ' && *text != '='; text++) {
        int value = base64_value(*text);
        if (value < 0) {
            die("bad base64", line);
        }
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (uint8_t)(bits >> have);
        }
    }
    return n;
}

static void read_vocabulary(const char *path) {
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        die("cannot open input", 0);
    }
    bytes = must_calloc(MAX_BYTES, 1);
    offsets = must_calloc(MAX_TOKENS + 1, sizeof *offsets);
    char line[1024];
    long number = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        number++;
        const char *space = strchr(line, ' ');
        if (space == NULL) {
            die("no space", number);
        }
        unsigned long rank = strtoul(space + 1, NULL, 10);
        if (rank < tokens || rank >= MAX_TOKENS || offsets[tokens] > MAX_BYTES - 1024) {
            die("ranks not ascending, or too large", number);
        }
        for (; tokens < rank; tokens++) { /* an id that does not exist has no bytes */
            offsets[tokens + 1] = offsets[tokens];
        }
        uint32_t len = decode_base64(line, bytes + offsets[tokens], number);
        if (len == 0 || len > AICPI_VOCAB_MAX_TOKEN) {
            die("token empty or too long", number);
        }
        offsets[tokens + 1] = offsets[tokens] + len;
        if (tokens < 256 && len != 1) {
            die("the first 256 tokens must be the single bytes", number);
        }
        tokens++;
    }
    (void)fclose(f);
    if (tokens < 256) {
        die("too few tokens", number);
    }
}

/* ---- token by bytes ---- */

static uint32_t hash_bytes(const uint8_t *data, uint32_t len) {
    uint64_t h = len;
    for (uint32_t i = 0; i < len; i++) {
        h = (h ^ data[i]) * AICPI_HASH_FACTOR;
        h ^= h >> 29;
    }
    return (uint32_t)h;
}

static uint32_t find_token(const uint8_t *data, uint32_t len) {
    for (uint32_t i = hash_bytes(data, len) & by_hash_mask;; i = (i + 1) & by_hash_mask) {
        uint32_t token = by_hash[i];
        if (token == AICPI_VOCAB_NONE) {
            return AICPI_VOCAB_NONE;
        }
        if (length_of(token) == len && memcmp(bytes + offsets[token], data, len) == 0) {
            return token;
        }
    }
}

static void index_tokens(void) {
    uint32_t slots = 1;
    while (slots < tokens * 3) {
        slots *= 2;
    }
    by_hash_mask = slots - 1;
    by_hash = must_calloc(slots, sizeof *by_hash);
    memset(by_hash, 0xFF, slots * sizeof *by_hash);
    for (uint32_t t = 0; t < tokens; t++) {
        uint32_t len = length_of(t);
        if (len == 0) {
            continue;
        }
        if (find_token(bytes + offsets[t], len) != AICPI_VOCAB_NONE) {
            die("token twice", (long)t);
        }
        uint32_t i = hash_bytes(bytes + offsets[t], len) & by_hash_mask;
        while (by_hash[i] != AICPI_VOCAB_NONE) {
            i = (i + 1) & by_hash_mask;
        }
        by_hash[i] = t;
    }
}

/* ---- last merge of every token ---- */

/* Merges the bytes of a token the slow way; true when it ends as the token, then *last is the pair
 * of the last merge. */
static bool merge_token(uint32_t token, aicpi_vocab_pair *last) {
    const uint8_t *data = bytes + offsets[token];
    uint32_t parts = length_of(token);
    uint32_t start[AICPI_VOCAB_MAX_TOKEN + 1];
    uint32_t rank[AICPI_VOCAB_MAX_TOKEN + 1]; /* of joining part i with part i + 1 */
    for (uint32_t i = 0; i <= parts; i++) {
        start[i] = i;
    }
    for (uint32_t i = 0; i + 1 < parts; i++) {
        rank[i] = find_token(data + i, 2);
    }
    while (parts > 1) {
        uint32_t best = 0;
        for (uint32_t i = 1; i + 1 < parts; i++) {
            best = rank[i] < rank[best] ? i : best;
        }
        if (rank[best] == AICPI_VOCAB_NONE) {
            return false;
        }
        if (parts == 2) {
            last->left = find_token(data, start[1]);
            last->right = find_token(data + start[1], start[2] - start[1]);
        }
        parts--;
        for (uint32_t i = best + 1; i <= parts; i++) {
            start[i] = start[i + 1];
            rank[i] = i + 1 < parts ? rank[i + 1] : 0;
        }
        for (uint32_t i = best > 0 ? best - 1 : 0; i <= best && i + 1 < parts; i++) {
            rank[i] = find_token(data + start[i], start[i + 2] - start[i]);
        }
    }
    return true;
}

static void split_tokens(void) {
    split = must_calloc(tokens, sizeof *split);
    for (uint32_t t = 0; t < tokens; t++) {
        split[t] = (aicpi_vocab_pair){t, t};
        if (length_of(t) < 2) {
            continue;
        }
        /* The linear method needs both: every token is made by merging its bytes, and of parts that
         * have lower ranks than itself. */
        if (!merge_token(t, &split[t])) {
            die("token that merging never makes", (long)t);
        }
        if (split[t].left >= t || split[t].right >= t) {
            die("token made of a higher rank", (long)t);
        }
    }
}

/* ---- trie ---- */

typedef struct trie_node {
    uint32_t first_child; /* 0 = none */
    uint32_t sibling;     /* 0 = none */
    uint32_t token;
    uint32_t slot;
    uint8_t byte;
} trie_node;

static trie_node *nodes;
static uint32_t node_count = 1;
static aicpi_vocab_node *slots;
static uint8_t *base_used;
static uint32_t slot_limit;
static uint32_t root_base;

static uint32_t child_of(uint32_t parent, uint8_t byte) {
    uint32_t c = nodes[parent].first_child;
    while (c != 0 && nodes[c].byte != byte) {
        c = nodes[c].sibling;
    }
    if (c == 0) {
        c = node_count++;
        nodes[c].byte = byte;
        nodes[c].token = AICPI_VOCAB_NONE;
        nodes[c].sibling = nodes[parent].first_child;
        nodes[parent].first_child = c;
    }
    return c;
}

static bool base_fits(uint32_t base, uint32_t node) {
    if (base_used[base]) {
        return false;
    }
    for (uint32_t c = nodes[node].first_child; c != 0; c = nodes[c].sibling) {
        if (slots[base + nodes[c].byte].link != 0) {
            return false;
        }
    }
    return true;
}

/* First-fit placement in breadth-first order. Slots 0..255 stay empty, so that base 0 leads
 * nowhere. `start` moves on past regions that are nearly full. */
static void place_children(uint32_t node, uint32_t *start) {
    uint8_t lowest = 255;
    for (uint32_t c = nodes[node].first_child; c != 0; c = nodes[c].sibling) {
        lowest = nodes[c].byte < lowest ? nodes[c].byte : lowest;
    }
    uint32_t tried = 0;
    uint32_t occupied = 0;
    uint32_t at = *start;
    while (slots[at].link != 0 || at < lowest + 1U || !base_fits(at - lowest, node)) {
        occupied += slots[at].link != 0;
        tried++;
        at++;
    }
    if (tried > 256 && occupied * 100 > tried * 97) {
        *start = at;
    }
    uint32_t base = at - lowest;
    base_used[base] = 1;
    for (uint32_t c = nodes[node].first_child; c != 0; c = nodes[c].sibling) {
        nodes[c].slot = base + nodes[c].byte;
        slots[nodes[c].slot] =
            (aicpi_vocab_node){AICPI_VOCAB_OCCUPIED | nodes[c].byte, nodes[c].token};
        slot_limit = nodes[c].slot >= slot_limit ? nodes[c].slot + 1 : slot_limit;
    }
    if (base >= 1U << 23) {
        die("trie too large", (long)base);
    }
    if (node == 0) {
        root_base = base;
    } else {
        slots[nodes[node].slot].link |= base << 9;
    }
}

static void build_trie(void) {
    uint32_t total = offsets[tokens];
    nodes = must_calloc((size_t)total + 1, sizeof *nodes);
    for (uint32_t t = 0; t < tokens; t++) {
        if (length_of(t) == 0) {
            continue;
        }
        uint32_t node = 0;
        for (uint32_t i = offsets[t]; i < offsets[t + 1]; i++) {
            node = child_of(node, bytes[i]);
        }
        nodes[node].token = t;
    }
    size_t room = (size_t)node_count * 4 + 65536;
    slots = must_calloc(room, sizeof *slots);
    base_used = must_calloc(room, 1);
    uint32_t *queue = must_calloc(node_count, sizeof *queue);
    uint32_t tail = 1;
    uint32_t start = 256;
    for (uint32_t head = 0; head < tail; head++) {
        for (uint32_t c = nodes[queue[head]].first_child; c != 0; c = nodes[c].sibling) {
            queue[tail++] = c;
        }
        if (nodes[queue[head]].first_child != 0) {
            while (slots[start].link != 0) {
                start++;
            }
            place_children(queue[head], &start);
        }
    }
    free(queue);
    for (size_t i = 0; i < room; i++) {
        slots[i].token = slots[i].link != 0 ? slots[i].token : AICPI_VOCAB_NONE;
    }
    slot_limit += 256; /* a lookup may look 255 slots past the last base */
}

static void fill_prefixes(uint32_t *prefix) {
    for (uint32_t t = 0; t < tokens; t++) {
        prefix[t] = AICPI_VOCAB_NONE;
        uint32_t len = length_of(t);
        for (uint32_t n = len > 0 ? len - 1 : 0; n > 0; n--) {
            uint32_t p = find_token(bytes + offsets[t], n);
            if (p != AICPI_VOCAB_NONE) {
                prefix[t] = p;
                break;
            }
        }
    }
}

/* ---- writing ---- */

static uint8_t *block;
static uint64_t block_size;

static uint64_t reserve(uint64_t size) {
    uint64_t at = (block_size + 63) & ~UINT64_C(63);
    block_size = at + size;
    return at;
}

static uint32_t bits_for(uint64_t count) {
    uint32_t bits = 4;
    while ((UINT64_C(1) << bits) < count) {
        bits++;
    }
    return bits;
}

static void lay_out(aicpi_vocab_header *h) {
    uint64_t n_short = 0;
    uint64_t n_medium = 0;
    for (uint32_t t = 0; t < tokens; t++) {
        uint32_t len = length_of(t);
        n_short += len >= 1 && len <= 7;
        n_medium += len >= 8 && len <= 15;
    }
    h->magic = AICPI_VOCAB_MAGIC;
    h->tokens = tokens;
    h->nodes = slot_limit;
    h->root_base = root_base;
    h->short_bits = bits_for(n_short * 2);
    h->medium_bits = bits_for(n_medium + n_medium / 2);
    h->pair_bits = bits_for((uint64_t)tokens * 3 / 2);
    h->filter_bits = bits_for((uint64_t)tokens * 16);
    (void)reserve(sizeof *h);
    h->short_keys = reserve((UINT64_C(1) << h->short_bits) * sizeof(uint64_t));
    h->medium_keys = reserve((UINT64_C(1) << h->medium_bits) * sizeof(aicpi_vocab_key));
    h->trie = reserve((uint64_t)slot_limit * sizeof(aicpi_vocab_node));
    h->filter = reserve((UINT64_C(1) << h->filter_bits) / 8);
    h->split = reserve((uint64_t)tokens * sizeof(aicpi_vocab_pair));
    h->prefix = reserve((uint64_t)tokens * sizeof(uint32_t));
    h->lengths = reserve(tokens);
    h->pairs = reserve((UINT64_C(1) << h->pair_bits) * sizeof(uint32_t));
    h->short_ids = reserve((UINT64_C(1) << h->short_bits) * sizeof(uint32_t));
    h->medium_ids = reserve((UINT64_C(1) << h->medium_bits) * sizeof(uint32_t));
    h->offsets = reserve(((uint64_t)tokens + 1) * sizeof(uint32_t));
    h->bytes = reserve(offsets[tokens]);
    h->size = (block_size + 63) & ~UINT64_C(63);
}

static void fill_hashes(const aicpi_vocab *v, uint32_t token) {
    const uint8_t *data = bytes + offsets[token];
    uint32_t len = length_of(token);
    if (len >= 1 && len <= 7) {
        uint64_t *keys = (uint64_t *)(void *)(block + v->header->short_keys);
        uint64_t mask = (UINT64_C(1) << v->header->short_bits) - 1;
        uint64_t key = aicpi_vocab_short_key(data, len);
        uint64_t i = aicpi_vocab_hash_short(key) >> v->short_shift;
        while (keys[i] != 0) {
            i = (i + 1) & mask;
        }
        keys[i] = key;
        ((uint32_t *)(void *)(block + v->header->short_ids))[i] = token;
    } else if (len >= 8 && len <= 15) {
        aicpi_vocab_key *keys = (aicpi_vocab_key *)(void *)(block + v->header->medium_keys);
        uint64_t mask = (UINT64_C(1) << v->header->medium_bits) - 1;
        aicpi_vocab_key key = aicpi_vocab_medium_key(data, len);
        uint64_t i = aicpi_vocab_hash_medium(key.lo, key.hi) >> v->medium_shift;
        while (keys[i].hi != 0) {
            i = (i + 1) & mask;
        }
        keys[i] = key;
        ((uint32_t *)(void *)(block + v->header->medium_ids))[i] = token;
    }
}

static void fill_pair(const aicpi_vocab *v, uint32_t token) {
    if (split[token].left == token) {
        return;
    }
    uint64_t hash = aicpi_vocab_hash_pair(split[token].left, split[token].right);
    uint32_t *pairs = (uint32_t *)(void *)(block + v->header->pairs);
    uint64_t mask = (UINT64_C(1) << v->header->pair_bits) - 1;
    uint64_t i = hash >> v->pair_shift;
    while (pairs[i] != AICPI_VOCAB_NONE) {
        i = (i + 1) & mask;
    }
    pairs[i] = token;
    uint64_t bit = hash >> v->filter_shift;
    ((uint64_t *)(void *)(block + v->header->filter))[bit >> 6] |= UINT64_C(1) << (bit & 63);
}

static void write_block(const char *path) {
    aicpi_vocab_header h = {0};
    lay_out(&h);
    block = must_calloc(h.size, 1);
    memcpy(block, &h, sizeof h);
    aicpi_vocab v;
    aicpi_vocab_bind(&v, block);
    memset(block + h.pairs, 0xFF, (size_t)(UINT64_C(1) << h.pair_bits) * sizeof(uint32_t));
    memcpy(block + h.trie, slots, (size_t)slot_limit * sizeof *slots);
    memcpy(block + h.split, split, (size_t)tokens * sizeof *split);
    memcpy(block + h.offsets, offsets, ((size_t)tokens + 1) * sizeof *offsets);
    memcpy(block + h.bytes, bytes, offsets[tokens]);
    fill_prefixes((uint32_t *)(void *)(block + h.prefix));
    for (uint32_t t = 0; t < tokens; t++) {
        block[h.lengths + t] = (uint8_t)length_of(t);
        fill_hashes(&v, t);
        fill_pair(&v, t);
    }
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(block, 1, h.size, f) != h.size || fclose(f) != 0) {
        die("cannot write output", 0);
    }
    (void)printf(
        "%s: %u tokens, trie %u nodes in %u slots, %llu bytes\n",
        path,
        tokens,
        node_count,
        slot_limit,
        (unsigned long long)h.size);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        (void)fprintf(stderr, "usage: vocab_compile IN.tiktoken OUT.bin\n");
        return 2;
    }
    read_vocabulary(argv[1]);
    index_tokens();
    split_tokens();
    build_trie();
    write_block(argv[2]);
    return 0;
}
