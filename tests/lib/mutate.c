#include "tests/lib/mutate.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void damage(check_bytes *b, size_t head, check_rng *r);

static size_t below(check_rng *r, size_t n) {
    return n ? (size_t)(check_u64(r) % n) : 0;
}

/* A place to damage: nine times of ten in the head. */
static size_t place(const check_bytes *b, size_t head, check_rng *r) {
    return below(r, below(r, 10) && head < b->n ? head : b->n);
}

/* The bytes [at, at + remove) become `with` [n]. */
static void replace(check_bytes *b, size_t at, size_t remove, const void *with, size_t n) {
    check_bytes all = {0};
    if (at > b->n) at = b->n;
    if (remove > b->n - at) remove = b->n - at;
    check_put(&all, b->data, at);
    check_put(&all, with, n);
    check_put(&all, b->data + at + remove, b->n - at - remove);
    free(b->data);
    *b = all;
}

static void flip_bits(check_bytes *b, size_t head, check_rng *r) {
    for (size_t i = 0, flips = 1 + below(r, 4); i < flips && b->n; i++)
        b->data[place(b, head, r)] ^= (uint8_t)(1u << below(r, 8));
}

static void cut_end(check_bytes *b, size_t head, check_rng *r) {
    b->n = place(b, head, r);
}

static const uint64_t limits[] = {
    0,           1,          2,          0x7F,       0xFF,       0x7FFF,    0xFFFF,     0x7FFFFFFF,
    0x80000000u, 0xFFFFFFFF, 1ull << 32, 1ull << 47, 1ull << 62, INT64_MAX, 1ull << 63, UINT64_MAX,
};

/* A binary length or count at one of the limits of its type. */
static void set_length(check_bytes *b, size_t head, check_rng *r) {
    uint64_t v = limits[below(r, sizeof limits / sizeof *limits)] + below(r, 3) - 1;
    size_t bytes = below(r, 2) ? 8 : 4, at = below(r, 4) ? place(b, head, r) : 8 * below(r, 4);
    if (b->n < 8) return;
    if (at > b->n - 8) at = b->n - 8;
    memcpy(b->data + at, &v, bytes);
}

/* A decimal number in a text becomes another. */
static void set_number(check_bytes *b, size_t head, check_rng *r) {
    static const char *const numbers[] = {
        "0",
        "-1",
        "1",
        "2147483648",
        "4294967296",
        "9223372036854775807",
        "9223372036854775808",
        "1e9",
        "0.5",
        "-0.0",
        "1e308",
        "1e999",
        "123456789012345678901234567890",
        "null",
        "true",
        "\"7\"",
        "[]",
        "{}",
        "[[[[[[[[1]]]]]]]]",
    };
    size_t at = place(b, head, r), end;
    while (at < b->n && !isdigit(b->data[at])) at++;
    for (end = at; end < b->n && isdigit(b->data[end]);) end++;
    const char *number = numbers[below(r, sizeof numbers / sizeof *numbers)];
    replace(b, at, end - at, number, strlen(number));
}

static void delete_piece(check_bytes *b, size_t head, check_rng *r) {
    replace(b, place(b, head, r), 1 + below(r, below(r, 2) ? 8 : 200), "", 0);
}

/* A piece comes twice: where it was, or anywhere. */
static void double_piece(check_bytes *b, size_t head, check_rng *r) {
    size_t from = place(b, head, r), n = 1 + below(r, below(r, 2) ? 8 : 400);
    if (n > b->n - from) n = b->n - from;
    uint8_t *piece = malloc(n + 1);
    memcpy(piece, b->data + from, n);
    replace(b, below(r, 2) ? from : place(b, head, r), 0, piece, n);
    free(piece);
}

static void overwrite_piece(check_bytes *b, size_t head, check_rng *r) {
    size_t at = place(b, head, r), n = 1 + below(r, 16);
    for (size_t i = at; i < at + n && i < b->n; i++) b->data[i] = (uint8_t)check_u64(r);
}

/* A piece of syntax of JSON becomes another. */
static void change_syntax(check_bytes *b, size_t head, check_rng *r) {
    static const char marks[] = "{}[]\",:\\";
    size_t at = place(b, head, r);
    while (at < b->n && (!b->data[at] || !strchr(marks, b->data[at]))) at++;
    if (at < b->n) b->data[at] = (uint8_t)marks[below(r, sizeof marks - 1)];
}

check_bytes check_mutate(const uint8_t *data, size_t n, size_t head, uint64_t seed) {
    static damage *const kinds[] = {flip_bits,    cut_end,      set_length,      set_number,
                                    delete_piece, double_piece, overwrite_piece, change_syntax};
    check_rng r = {seed};
    check_bytes b = {0};
    check_put(&b, data, n);
    check_u64(&r);
    for (size_t i = 0, times = 1 + below(&r, 2); i < times && b.n; i++)
        kinds[below(&r, sizeof kinds / sizeof *kinds)](&b, head, &r);
    return b;
}

/* ---- the meaning of JSON ---- */

static json_t *odd_value(check_rng *r) {
    static const char *const texts[] = {
        "null",
        "true",
        "0",
        "-1",
        "1",
        "3",
        "4294967296",
        "9223372036854775807",
        "-9223372036854775808",
        "0.5",
        "1e308",
        "-0.0",
        "\"\"",
        "\"x\"",
        "\"\\n\"",
        "[]",
        "{}",
        "[[]]",
        "[1,2]",
        "[null,null]",
        "{\"a\":{}}",
        "1024",
        "1e-30",
        "2147483647",
        "65536",
    };
    return json_loads(texts[below(r, sizeof texts / sizeof *texts)], JSON_DECODE_ANY, NULL);
}

static const char *key_at(const json_t *object, size_t i) {
    void *iter = json_object_iter((json_t *)object);
    while (i--) iter = json_object_iter_next((json_t *)object, iter);
    return json_object_iter_key(iter);
}

static void damage_array(json_t *array, size_t at, check_rng *r) {
    size_t n = json_array_size(array);
    switch (below(r, 4)) {
    case 0: json_array_remove(array, at); break;
    case 1: json_array_insert(array, at, json_array_get(array, at)); break;
    case 2: {
        json_t *value = json_incref(json_array_get(array, at));
        json_array_remove(array, at);
        json_array_insert_new(array, below(r, n), value);
        break;
    }
    default: json_array_set_new(array, at, odd_value(r));
    }
}

static void damage_object(json_t *object, const char *key, check_rng *r) {
    char name[64];
    const char *other = key_at(object, below(r, json_object_size(object)));
    json_t *value = json_incref(json_object_get(object, key));
    switch (below(r, 5)) {
    case 0: json_object_del(object, key); break;
    case 1:
        snprintf(name, sizeof name, "renamed.%.40s", key);
        json_object_set(object, name, value);
        json_object_del(object, key);
        break;
    case 2: json_object_set(object, key, json_object_get(object, other)); break;
    default: json_object_set_new(object, key, odd_value(r));
    }
    json_decref(value);
}

/* Goes down to a value at random, rather deep, and damages it. */
static void damage_json(json_t *v, check_rng *r) {
    for (;;) {
        size_t n = json_is_object(v) ? json_object_size(v) : json_array_size(v);
        if (!n) return;
        size_t at = below(r, n);
        const char *key = json_is_object(v) ? key_at(v, at) : NULL;
        json_t *child = key ? json_object_get(v, key) : json_array_get(v, at);
        if (json_object_size(child) + json_array_size(child) && below(r, 8)) {
            v = child;
            continue;
        }
        if (key)
            damage_object(v, key, r);
        else
            damage_array(v, at, r);
        return;
    }
}

check_bytes check_mutate_json(const uint8_t *text, size_t n, uint64_t seed) {
    check_rng r = {seed};
    check_u64(&r);
    json_t *root = json_loadb((const char *)text, n, 0, NULL);
    CHECK(root);
    for (size_t i = 0, times = 1 + below(&r, 3); i < times; i++) damage_json(root, &r);
    char *changed = json_dumps(root, JSON_COMPACT);
    check_bytes b = {0};
    check_put(&b, changed, strlen(changed));
    free(changed);
    json_decref(root);
    return b;
}
