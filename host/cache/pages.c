#include "host/cache/pages.h"

#include <string.h>

bool fa_pages_open(fa_pages *p, fa_arena *arena, int32_t n) {
    uint32_t buckets = 16;
    while (buckets < (uint32_t)n) buckets *= 2;
    *p = (fa_pages){.n = n, .n_free = n, .mask = buckets - 1, .oldest = FA_NO_PAGE, .newest = FA_NO_PAGE};
    p->page = fa_arena_array(arena, (size_t)n, sizeof *p->page);
    p->bucket = fa_arena_array(arena, buckets, sizeof *p->bucket);
    if (!p->page || !p->bucket) return false;
    for (uint32_t b = 0; b < buckets; b++) p->bucket[b] = FA_NO_PAGE;
    for (int32_t i = 0; i < n; i++) p->page[i].next = i + 1 < n ? i + 1 : FA_NO_PAGE;
    p->first_free = n ? 0 : FA_NO_PAGE;
    return true;
}

/* splitmix64's finisher (S. Vigna) */
static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static uint64_t hash_of(const fa_pages *p, uint64_t owner, int32_t parent, const int32_t *tokens) {
    uint64_t h = parent == FA_NO_PAGE ? mix(1, owner) : p->page[parent].hash;
    for (int i = 0; i < FA_PAGE_POSITIONS; i++) h = mix(h, (uint32_t)tokens[i]);
    return h;
}

static int32_t find_hashed(const fa_pages *p, uint64_t hash, uint64_t owner, int32_t parent, const int32_t *tokens) {
    for (int32_t i = p->bucket[hash & p->mask]; i != FA_NO_PAGE; i = p->page[i].next) {
        const fa_page *g = &p->page[i];
        if (g->hash == hash && g->owner == owner && g->parent == parent && !memcmp(g->tokens, tokens, sizeof g->tokens))
            return i;
    }
    return FA_NO_PAGE;
}

int32_t fa_pages_find(const fa_pages *p, uint64_t owner, int32_t parent, const int32_t *tokens) {
    return find_hashed(p, hash_of(p, owner, parent, tokens), owner, parent, tokens);
}

static void leave_kept(fa_pages *p, int32_t i) {
    fa_page *g = &p->page[i];
    *(g->older == FA_NO_PAGE ? &p->oldest : &p->page[g->older].newer) = g->newer;
    *(g->newer == FA_NO_PAGE ? &p->newest : &p->page[g->newer].older) = g->older;
    p->n_kept--;
}

static void become_kept(fa_pages *p, int32_t i) {
    p->page[i].older = p->newest;
    p->page[i].newer = FA_NO_PAGE;
    *(p->newest == FA_NO_PAGE ? &p->oldest : &p->page[p->newest].newer) = i;
    p->newest = i;
    p->n_kept++;
}

static void become_free(fa_pages *p, int32_t i) {
    p->page[i].next = p->first_free;
    p->first_free = i;
    p->n_free++;
}

static void unpublish(fa_pages *p, int32_t i) {
    int32_t *link = &p->bucket[p->page[i].hash & p->mask];
    while (*link != i) link = &p->page[*link].next;
    *link = p->page[i].next;
    p->page[i].published = false;
}

static void evict(fa_pages *p) {
    int32_t evicted = p->oldest;
    leave_kept(p, evicted);
    unpublish(p, evicted);
    become_free(p, evicted);
}

void fa_pages_forget(fa_pages *p) {
    while (p->oldest != FA_NO_PAGE) evict(p);
}

int32_t fa_pages_take(fa_pages *p) {
    if (p->first_free == FA_NO_PAGE && p->oldest != FA_NO_PAGE) evict(p);
    int32_t i = p->first_free;
    if (i == FA_NO_PAGE) return FA_NO_PAGE;
    p->first_free = p->page[i].next;
    p->n_free--;
    p->page[i].holders = 1;
    return i;
}

void fa_pages_hold(fa_pages *p, int32_t i) {
    if (p->page[i].holders++ == 0) leave_kept(p, i);
}

void fa_pages_release(fa_pages *p, int32_t i) {
    if (--p->page[i].holders > 0) return;
    if (p->page[i].published)
        become_kept(p, i);
    else
        become_free(p, i);
}

int32_t fa_pages_publish(fa_pages *p, int32_t i, uint64_t owner, int32_t parent, const int32_t *tokens) {
    uint64_t hash = hash_of(p, owner, parent, tokens);
    int32_t equal = find_hashed(p, hash, owner, parent, tokens);
    if (equal != FA_NO_PAGE) {
        fa_pages_hold(p, equal);
        fa_pages_release(p, i);
        return equal;
    }
    fa_page *g = &p->page[i];
    g->owner = owner;
    g->hash = hash;
    g->parent = parent;
    g->published = true;
    memcpy(g->tokens, tokens, sizeof g->tokens);
    g->next = p->bucket[hash & p->mask];
    p->bucket[hash & p->mask] = i;
    return i;
}
