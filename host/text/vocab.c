#include "host/text/vocab.h"

#include <string.h>

#include "host/text/unicode.h"

static size_t power_of_two(size_t n) {
    size_t p = 16;
    while (p < n) p *= 2;
    return p;
}

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static uint32_t hash_text(const char *text, size_t bytes) {
    uint64_t h = bytes, v;
    for (; bytes >= 8; text += 8, bytes -= 8) {
        memcpy(&v, text, 8);
        h = mix(h, v);
    }
    v = 0;
    memcpy(&v, text, bytes);
    return (uint32_t)mix(h, v);
}

fa_status fa_text_map_init(fa_text_map *m, fa_arena *a, size_t n) {
    size_t slots = power_of_two(n * 2);
    m->slots = fa_arena_array(a, slots, sizeof *m->slots);
    m->mask = slots - 1;
    return m->slots ? FA_OK : FA_ENOMEM;
}

void fa_text_map_put(fa_text_map *m, const char *text, size_t bytes, int32_t id) {
    uint32_t hash = hash_text(text, bytes);
    for (size_t i = hash;; i++) {
        fa_text_slot *s = &m->slots[i & m->mask];
        bool same = s->text && s->hash == hash && s->bytes == bytes && memcmp(s->text, text, bytes) == 0;
        if (s->text && !same) continue;
        *s = (fa_text_slot){text, (uint32_t)bytes, hash, id};
        return;
    }
}

int32_t fa_text_map_find(const fa_text_map *m, const char *text, size_t bytes) {
    if (!m->slots) return -1;
    uint32_t hash = hash_text(text, bytes);
    for (size_t i = hash;; i++) {
        const fa_text_slot *s = &m->slots[i & m->mask];
        if (!s->text) return -1;
        if (s->hash == hash && s->bytes == bytes && memcmp(s->text, text, bytes) == 0) return s->id;
    }
}

static size_t hash_pair(int32_t left, int32_t right) {
    return (size_t)mix(0, (uint64_t)(uint32_t)left << 32 | (uint32_t)right);
}

fa_status fa_pair_map_init(fa_pair_map *m, fa_arena *a, size_t n) {
    size_t slots = power_of_two(n * 2);
    m->slots = fa_arena_array(a, slots, sizeof *m->slots);
    if (!m->slots) return FA_ENOMEM;
    m->mask = slots - 1;
    for (size_t i = 0; i < slots; i++) m->slots[i].rank = UINT32_MAX;
    return FA_OK;
}

void fa_pair_map_put(fa_pair_map *m, fa_pair_slot pair) {
    for (size_t i = hash_pair(pair.left, pair.right);; i++) {
        fa_pair_slot *s = &m->slots[i & m->mask];
        if (s->rank != UINT32_MAX && (s->left != pair.left || s->right != pair.right)) continue;
        *s = pair;
        return;
    }
}

const fa_pair_slot *fa_pair_map_find(const fa_pair_map *m, int32_t left, int32_t right) {
    if (!m->slots) return NULL;
    for (size_t i = hash_pair(left, right);; i++) {
        const fa_pair_slot *s = &m->slots[i & m->mask];
        if (s->rank == UINT32_MAX) return NULL;
        if (s->left == left && s->right == right) return s;
    }
}

const char *fa_text_pool_add(fa_text_pool *p, const char *text, size_t bytes) {
    enum { CHUNK = 1 << 16 };
    if (bytes >= SIZE_MAX / 2) return NULL;
    if (p->left < bytes + 1) {
        size_t size = bytes + 1 > CHUNK ? bytes + 1 : CHUNK;
        p->at = fa_arena_alloc(p->arena, size);
        p->left = p->at ? size : 0;
        if (!p->at) return NULL;
    }
    char *copy = p->at;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    p->at += bytes + 1;
    p->left -= bytes + 1;
    return copy;
}

static bool stands_for_itself(uint32_t c) {
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

/* The byte behind a letter; -1 when it is none. U+0100 + k is the k-th byte that does not stand for itself: 0..0x20,
 * 0x7f..0xa0, 0xad. */
static int byte_of_letter(uint32_t c) {
    if (c < 0x100) return stands_for_itself(c) ? (int)c : -1;
    uint32_t k = c - 0x100;
    if (k <= 0x20) return (int)k;
    if (k <= 0x42) return (int)(k - 0x21 + 0x7f);
    return k == 0x43 ? 0xad : -1;
}

bool fa_byte_letters_decode(const char *text, size_t n, char *out, size_t *bytes) {
    size_t to = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        int length = fa_utf8_read(text + i, n - i, &c);
        int byte = length > 0 ? byte_of_letter(c) : -1;
        if (byte < 0) return false;
        out[to++] = (char)byte;
        i += (size_t)length;
    }
    *bytes = to;
    return true;
}
