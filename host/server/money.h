/* Amounts of money as whole numbers, so that sums are exact: 1 unit of the currency is 10^9. */
#ifndef FA_SERVER_MONEY_H
#define FA_SERVER_MONEY_H

#include <stdint.h>

#include "host/base/status.h"

typedef int64_t fa_money; /* 10^-9 of the currency */

#define FA_MONEY_UNIT INT64_C(1000000000)
#define FA_MONEY_MAX (INT64_C(1000000000) * FA_MONEY_UNIT)

/* The currency of prices and balances: that of the board files' prices and rents. */
#define FA_CURRENCY "USD"

enum { FA_MONEY_TEXT = 32 };

/* "5", "-0.25", "1.234567891": all of `text`, at most nine decimals, at most 10^9 units either way. FA_EINVAL quotes the text. */
fa_status fa_money_parse(fa_money *out, const char *text, fa_error *e);

/* With at least two decimals and no more than it takes: "5.00", "-0.000000001". Returns `text`. */
const char *fa_money_format(fa_money m, char text[FA_MONEY_TEXT]);

#endif
