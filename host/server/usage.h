/* Usage rows: one for each request that was computed, what it cost, and who pays. Numbers and names only. */
#ifndef FA_SERVER_USAGE_H
#define FA_SERVER_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/server/database.h"
#include "host/server/money.h"

enum {
    FA_REQUEST_ID = 40,  /* bytes of a request id, terminated */
    FA_USAGE_MODEL = 96, /* bytes of a model's name, terminated */
};

/* how a request ended */
#define FA_USAGE_ENDS(X) \
    X(STOP, "stop") X(LENGTH, "length") X(TOOL_CALLS, "tool_calls") X(CANCELLED, "cancelled") X(ERROR, "error")

typedef enum fa_usage_end {
#define FA_USAGE_END_ROW(id, name) FA_USAGE_##id,
    FA_USAGE_ENDS(FA_USAGE_END_ROW)
#undef FA_USAGE_END_ROW
} fa_usage_end;

const char *fa_usage_end_name(fa_usage_end end);

typedef struct fa_usage {
    char request[FA_REQUEST_ID]; /* the x-request-id of the request: a row is written once for each */
    char model[FA_USAGE_MODEL];
    int64_t key;                     /* id; 0: without a key */
    int64_t started_ms, finished_ms; /* since 1970 */
    int64_t prompt_tokens, cached_tokens, completion_tokens,
        reasoning_tokens; /* cached: part of prompt; reasoning: of completion */
    fa_usage_end end;
    fa_money cost; /* filled in by fa_accounts_leave */
} fa_usage;

/* What a million tokens of a model cost: of the prompt, computed or taken from the cache, and of the answer. */
typedef struct fa_price {
    char model[FA_USAGE_MODEL];
    fa_money input, cached, output;
} fa_price;

enum { FA_PRICE_MODELS = 64 };

/* Rounded up to a whole 10^-9. */
fa_money fa_price_cost(const fa_price *p, const fa_usage *u);

/* Sets a model's price; all prices by model. FA_EINVAL for one below 0 or above 10^6, FA_ELIMIT for more than FA_PRICE_MODELS. */
fa_status fa_price_set(sqlite3 *db, const fa_price *p, fa_error *e);
fa_status fa_price_list(sqlite3 *db, fa_price prices[FA_PRICE_MODELS], size_t *n, fa_error *e);

/* Writes `n` rows in one transaction, which also debits the balances and notes when the keys were active. A row whose request id is there already changes
 * nothing. When this returns FA_OK the rows are on the disk; after any error none of them is. */
fa_status fa_usage_write(sqlite3 *db, const fa_usage *rows, size_t n, fa_error *e);

/* A sum over rows. */
typedef struct fa_usage_sum {
    char group[FA_USAGE_MODEL]; /* the key's name, the model or the day ("2026-11-24", UTC) */
    int64_t requests, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens;
    fa_money cost;
} fa_usage_sum;

typedef enum fa_usage_by { FA_USAGE_BY_KEY, FA_USAGE_BY_MODEL, FA_USAGE_BY_DAY } fa_usage_by;

/* Sums of the rows that finished in [from_ms, to_ms), of one key (0: all); malloc'd, in the group's order. */
fa_status fa_usage_sums(sqlite3 *db, fa_usage_by by, int64_t key, int64_t from_ms, int64_t to_ms, fa_usage_sum **sums,
                        size_t *n, fa_error *e);

#endif
