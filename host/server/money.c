#include "host/server/money.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DECIMALS = 9 };

fa_status fa_money_parse(fa_money *out, const char *text, fa_error *e) {
    const char *p = text + (*text == '-' || *text == '+');
    int64_t units = 0, part = 0;
    int digits = 0, decimals = 0;
    for (; *p >= '0' && *p <= '9' && units <= FA_MONEY_MAX / FA_MONEY_UNIT; p++, digits++)
        units = 10 * units + (*p - '0');
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9' && decimals < DECIMALS; p++, decimals++) part = 10 * part + (*p - '0');
    if (*p || digits + decimals == 0 || units > FA_MONEY_MAX / FA_MONEY_UNIT)
        return fa_fail(
            e, FA_EINVAL,
            "'%s' is not an amount of money: write it like 12 or 0.25, with at most nine decimals and up to 10^9",
            text);
    for (; decimals < DECIMALS; decimals++) part *= 10;
    fa_money m = units * FA_MONEY_UNIT + part;
    *out = *text == '-' ? -m : m;
    return FA_OK;
}

const char *fa_money_format(fa_money m, char text[FA_MONEY_TEXT]) {
    uint64_t size = m < 0 ? -(uint64_t)m : (uint64_t)m;
    uint64_t unit = (uint64_t)FA_MONEY_UNIT;
    snprintf(text, FA_MONEY_TEXT, "%s%" PRIu64 ".%09" PRIu64, m < 0 ? "-" : "", size / unit, size % unit);
    size_t n = strlen(text), shortest = n - DECIMALS + 2;
    while (n > shortest && text[n - 1] == '0') text[--n] = 0;
    return text;
}
