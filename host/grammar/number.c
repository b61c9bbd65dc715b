/* A number is written digit by digit beside the digits of its bounds: as long as it equals a bound so far, the bound limits the next
 * digit. At most 15 digits with a fraction, so that a reader in double precision finds it on the same side of every bound. */
#include "host/grammar/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE_DIGITS = 18, FRACTION_DIGITS = 15, BOUND_DIGITS = 400 };

/* A bound's size in decimal, without sign. */
typedef struct bound {
    bool given, exclusive;
    char whole[BOUND_DIGITS]; /* no leading zeros, but "0" */
    char fraction[BOUND_DIGITS];
} bound;

/* Digits of one length, between two sizes. */
typedef struct digits {
    fa_grammar *g;
    const bound *low, *high;
    int whole, fraction; /* digits before the point; at most so many behind it */
    int32_t next;
    int32_t memo[WHOLE_DIGITS + FRACTION_DIGITS + 2][2][2]; /* nodes; NOT_MADE */
} digits;

enum { NOT_MADE = -2 };

/* Digit `at` of a bound, zeros behind its end. */
static int digit_of(const bound *b, int whole, int at) {
    const char *part = at < whole ? b->whole : b->fraction;
    size_t i = (size_t)(at < whole ? at : at - whole);
    return i < strlen(part) ? part[i] - '0' : 0;
}

/* Whether the bound has nothing but zeros from digit `at` on, which is behind the point. */
static bool ends_before(const bound *b, int whole, int at) {
    size_t i = (size_t)(at - whole), n = strlen(b->fraction);
    while (i < n && b->fraction[i] == '0') i++;
    return i >= n;
}

/* May the number end before digit `at`? on_low, on_high: it equals the bound so far. */
static bool may_end(const digits *d, int at, bool on_low, bool on_high) {
    if (on_low && (!ends_before(d->low, d->whole, at) || d->low->exclusive)) return false;
    return !(on_high && d->high->exclusive && ends_before(d->high, d->whole, at));
}

static int32_t from(digits *d, int at, bool on_low, bool on_high);

/* The digit at `at`. */
static int32_t one_digit(digits *d, int at, bool on_low, bool on_high) {
    int least = at == 0 && d->whole > 1, low = on_low ? digit_of(d->low, d->whole, at) : 0;
    int high = on_high ? digit_of(d->high, d->whole, at) : 9;
    int32_t all = FA_NO_NODE;
    for (int first = least > low ? least : low, last; first <= high; first = last + 1) {
        bool at_low = on_low && first == low, at_high = on_high && first == high;
        last = at_low || at_high ? first : high - on_high; /* the digits between go on alike */
        int32_t rest = from(d, at + 1, at_low, at_high);
        all = fa_node_either(d->g, all, fa_node_range(d->g, (uint8_t)('0' + first), (uint8_t)('0' + last), rest));
    }
    return all;
}

static int32_t from(digits *d, int at, bool on_low, bool on_high) {
    int32_t *memo = &d->memo[at][on_low][on_high];
    if (*memo != NOT_MADE) return *memo;
    int32_t node = FA_NO_NODE;
    if (at >= d->whole && may_end(d, at, on_low, on_high)) node = d->next;
    if (at < d->whole + d->fraction) {
        int32_t more = one_digit(d, at, on_low, on_high);
        if (at == d->whole) more = fa_node_text(d->g, ".", 1, more);
        node = fa_node_either(d->g, node, more);
    }
    return *memo = node;
}

/* Sizes between two bounds, each of which may be missing. */
static int32_t sizes(fa_grammar *g, const bound *low, const bound *high, bool whole, int32_t next) {
    int32_t all = FA_NO_NODE;
    int shortest = low->given ? (int)strlen(low->whole) : 1;
    int longest = high->given && strlen(high->whole) < WHOLE_DIGITS ? (int)strlen(high->whole) : WHOLE_DIGITS;
    for (int n = shortest; n <= longest && !g->status; n++) {
        int fraction = whole || n >= FRACTION_DIGITS ? 0 : FRACTION_DIGITS - n;
        digits d = {.g = g, .low = low, .high = high, .whole = n, .fraction = fraction, .next = next};
        int32_t *memo = &d.memo[0][0][0];
        for (size_t i = 0; i < sizeof d.memo / sizeof *memo; i++) memo[i] = NOT_MADE;
        bool on_low = low->given && (int)strlen(low->whole) == n;
        bool on_high = high->given && (int)strlen(high->whole) == n;
        all = fa_node_either(g, all, from(&d, 0, on_low, on_high));
    }
    return all;
}

/* --- bounds --------------------------------------------------------------------------------------------------------- */

/* The shortest decimal that reads back as x, as digits d.ddd and a power of ten, moved to a plain decimal. */
static void real_digits(double x, bound *b) {
    char text[40];
    int precision = 14;
    do snprintf(text, sizeof text, "%.*e", precision, x);
    while (strtod(text, NULL) != x && ++precision < 17);
    char *power_at = strchr(text, 'e'), all[32] = "";
    int power = atoi(power_at + 1), n = 0;
    for (const char *c = text; c < power_at; c++)
        if (*c != '.') all[n++] = *c;
    memset(b->whole, 0, sizeof b->whole);
    memset(b->fraction, 0, sizeof b->fraction);
    if (power < 0) {
        b->whole[0] = '0';
        memset(b->fraction, '0', (size_t)(-power - 1));
        memcpy(b->fraction - power - 1, all, (size_t)n);
        return;
    }
    for (int i = 0; i <= power; i++) b->whole[i] = i < n ? all[i] : '0';
    for (int i = power + 1; i < n; i++) b->fraction[i - power - 1] = all[i];
}

static void size_of(const json_t *number, bool exclusive, bound *b) {
    b->given = true;
    b->exclusive = exclusive;
    if (json_is_integer(number)) {
        json_int_t i = json_integer_value(number);
        snprintf(b->whole, sizeof b->whole, "%llu", i < 0 ? 0 - (unsigned long long)i : (unsigned long long)i);
        b->fraction[0] = 0;
    } else {
        real_digits(fabs(json_real_value(number)), b);
    }
}

/* --- numbers without bounds ------------------------------------------------------------------------------------------- */

/* Up to `n` digits, of which the first `least` must be there. */
static int32_t digit_run(fa_grammar *g, int least, int n, int32_t next) {
    int32_t node = next;
    for (int i = n; i > 0; i--) {
        int32_t more = fa_node_range(g, '0', '9', node);
        node = i > least ? fa_node_either(g, next, more) : more;
    }
    return node;
}

static int32_t any_size(fa_grammar *g, bool whole, int32_t next) {
    int32_t behind = next;
    if (!whole) {
        int32_t power = digit_run(g, 1, 2, next);
        fa_byte_set sign = fa_set_range(fa_set_range((fa_byte_set){{0}}, '+', '+'), '-', '-');
        power = fa_node_either(g, power, fa_node_set(g, sign, power));
        fa_byte_set e = fa_set_range(fa_set_range((fa_byte_set){{0}}, 'e', 'e'), 'E', 'E');
        int32_t with_power = fa_node_either(g, next, fa_node_set(g, e, power));
        int32_t fraction = fa_node_range(g, '.', '.', digit_run(g, 1, FRACTION_DIGITS, with_power));
        behind = fa_node_either(g, with_power, fraction);
    }
    int32_t more = fa_node_range(g, '1', '9', digit_run(g, 0, WHOLE_DIGITS - 1, behind));
    return fa_node_either(g, fa_node_range(g, '0', '0', behind), more);
}

fa_status fa_number_nodes(fa_grammar *g, const fa_number_range *r, int32_t next, int32_t *out, fa_error *e) {
    static const bound none;
    if (!r->least && !r->most) {
        int32_t size = any_size(g, r->whole, next);
        *out = fa_node_either(g, size, fa_node_text(g, "-", 1, size));
        return FA_OK;
    }
    bound *b = calloc(2, sizeof *b);
    if (!b) return fa_fail(e, FA_ENOMEM, "grammar: out of memory");
    double least = r->least ? json_number_value(r->least) : -INFINITY;
    double most = r->most ? json_number_value(r->most) : INFINITY;
    if (r->least) size_of(r->least, r->above, &b[0]);
    if (r->most) size_of(r->most, r->below, &b[1]);
    int32_t all = FA_NO_NODE;
    /* from 0 up, a lower bound of 0 that is left out stays a bound; below 0 the bounds change places */
    if (most >= 0)
        all = sizes(g, least > 0 || (least == 0 && r->above) ? &b[0] : &none, r->most ? &b[1] : &none, r->whole, next);
    if (least < 0) {
        int32_t minus = sizes(g, most <= 0 ? &b[1] : &none, r->least ? &b[0] : &none, r->whole, next);
        all = fa_node_either(g, all, fa_node_text(g, "-", 1, minus));
    }
    free(b);
    *out = all;
    if (all != FA_NO_NODE || g->status) return FA_OK;
    if (least > most || (least == most && (r->above || r->below)))
        return fa_fail(e, FA_EINVAL, "no number is between the bounds");
    return fa_fail(e, FA_EUNSUPPORTED, "no %s of at most %d digits is between the bounds",
                   r->whole ? "integer" : "number", r->whole ? WHOLE_DIGITS : FRACTION_DIGITS);
}
