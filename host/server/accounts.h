/* What the running service knows of its users: the keys in memory, the admission of their requests, and the writer of usage rows. Thread-safe. The face of
 * keys, usage and admission towards the rest of the server.
 *
 * What is promised of usage rows. A request that fa_accounts_leave was told of is written once: its row, the debit of the balance and the key's
 * times are one transaction, and a second row with the same request id changes nothing. When `done` is called with FA_OK the row is on the disk
 * (fsync) and survives a crash of the process or of the machine. Before that a crash may lose it, never double it. So a server that lets a client see the
 * end of an answer after `done` has counted every answer whose end was seen. Rows that wait are written together, at once: a batch is
 * what came while the one before it was being written. */
#ifndef FA_SERVER_ACCOUNTS_H
#define FA_SERVER_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"
#include "host/server/admission.h"
#include "host/server/keys.h"
#include "host/server/usage.h"

typedef struct fa_accounts fa_accounts;

typedef struct fa_accounts_options {
    const char *database; /* path; made when missing */
    fa_admission_options admission;
    bool
        keyless; /* while no key was ever made, requests without one are let in with all rights, unlimited and unpaid */
} fa_accounts_options;

/* Opens the database, reads the keys and starts the writer. The caller closes; closing writes what is waiting. */
fa_status fa_accounts_open(fa_accounts **a, const fa_accounts_options *o, fa_error *e);
void fa_accounts_close(fa_accounts *a);

/* Who somebody is. Copied: a change of the key shows in the next one. */
typedef struct fa_identity {
    int32_t slot; /* for the calls below; stays as long as the process */
    int64_t id;   /* of the key; 0: without one */
    unsigned rights;
    char name[FA_KEY_NAME];
} fa_identity;

/* Whose key this text is (the part after "Bearer "; NULL: none was sent). False for an unknown or revoked one. Costs a hash and a look into memory, no database. */
bool fa_accounts_identify(fa_accounts *a, const char *text, size_t bytes, fa_identity *who);

/* The number of keys that are not revoked. */
size_t fa_accounts_keys(fa_accounts *a);

/* fa_admission_ask, _shed, _next and _share at this moment. While usage cannot be recorded all are refused. */
fa_decision fa_accounts_ask(fa_accounts *a, int32_t slot);
uint64_t fa_accounts_shed(fa_accounts *a, fa_decision *why);
uint64_t fa_accounts_next(fa_accounts *a);
double fa_accounts_share(fa_accounts *a);

/* Called once, on the writer's thread, when a row is on the disk or could not be written for some seconds (then it is tried further). Must not block or call fa_accounts_*. */
typedef void fa_accounts_done(void *ctx, fa_status status);

/* The request of `ticket` ends and frees its place at once. `usage` (copied; NULL: nothing was computed) is recorded under the slot's key at
 * the model's price; its key and cost are filled in here, in the copy. `done` (may be NULL) is called for a usage. Allocates nothing. False for an
 * unknown ticket: nothing is recorded, `done` is not called. */
bool fa_accounts_leave(fa_accounts *a, uint64_t ticket, const fa_usage *usage, fa_accounts_done *done, void *ctx);

/* The price of a model; false: it has none, and costs nothing. */
bool fa_accounts_price(fa_accounts *a, const char *model, fa_price *price);

/* What is left to the key, with what is not yet written taken off. False: not metered. */
bool fa_accounts_balance(fa_accounts *a, int32_t slot, fa_money *balance);

typedef struct fa_accounts_view {
    fa_admission_view admission;
    size_t keys, rows_waiting;
    int64_t rows_written, write_errors;
    bool ledger_ok; /* the last write succeeded; false makes /ready say no */
} fa_accounts_view;
fa_accounts_view fa_accounts_look(fa_accounts *a);

#endif
