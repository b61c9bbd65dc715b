/* Keys: who may use the service, how much, and what is left of their balance. A key's text is shown once, when it is made, and kept as a hash.
 *
 * The hash is libsodium's generic hash (BLAKE2b, 32 bytes) and not a slow one for passwords: a key is 32 random bytes, which no guessing reaches,
 * while a slow hash would let every false key cost the server what it is meant to cost the guesser. */
#ifndef FA_SERVER_KEYS_H
#define FA_SERVER_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/server/database.h"
#include "host/server/money.h"

/* bit, name: what a key may do */
#define FA_RIGHTS(X)                                        \
    X(CHAT, 1, "chat", "chat, completions, images, tokens") \
    X(METRICS, 2, "metrics", "read /metrics")

enum {
#define FA_RIGHT_ROW(id, bit, name, help) FA_RIGHT_##id = (bit),
    FA_RIGHTS(FA_RIGHT_ROW)
#undef FA_RIGHT_ROW
};

enum {
    FA_KEY_DIGEST = 32,
    FA_KEY_TEXT = 56, /* "sk-fathom-" and 43 characters of base64url, terminated */
    FA_KEY_NAME = 64, /* bytes of a name, terminated */
    FA_KEY_HINT = 5,  /* the last four characters of the text, terminated: to recognise a key by */
};

/* 0: no limit */
typedef struct fa_key_limits {
    int32_t concurrency; /* requests waiting or running at one time */
    int32_t requests_per_minute;
    int64_t tokens_per_minute; /* of prompts and answers together */
} fa_key_limits;

typedef struct fa_key {
    int64_t id; /* 1, 2, ...; never used again */
    char name[FA_KEY_NAME], hint[FA_KEY_HINT];
    unsigned char digest[FA_KEY_DIGEST];
    unsigned rights; /* FA_RIGHT_* */
    fa_key_limits limits;
    bool metered;     /* requests are paid from the balance; false: counted only */
    fa_money balance; /* may be below 0: requests that ran when it was used up were finished */
    /* s since 1970; 0: never. Active means: a request was counted. */
    int64_t created, first_active, last_active, revoked;
} fa_key;

/* "chat,metrics" and back. FA_EINVAL names the word and lists the rights. */
fa_status fa_rights_parse(unsigned *rights, const char *text, fa_error *e);
const char *fa_rights_format(unsigned rights, char text[64]);

/* The hash under which a key's text is kept. Any text has one. */
void fa_key_digest(unsigned char digest[FA_KEY_DIGEST], const char *text, size_t bytes);

/* Makes a key with the name, rights, limits and balance of `key`, fills in the rest, and writes its text, which is not kept. A name is 1 to 63 printable
 * characters without blanks, and no other key that is not revoked has it (FA_EINVAL). */
fa_status fa_key_add(sqlite3 *db, fa_key *key, char text[FA_KEY_TEXT], int64_t now_s, fa_error *e);

/* The key of that name that is not revoked, or else the id written as #7. FA_EINVAL when there is none. */
fa_status fa_key_get(sqlite3 *db, fa_key *key, const char *name, fa_error *e);

/* All keys by id, also revoked ones; malloc'd. */
fa_status fa_key_list(sqlite3 *db, fa_key **keys, size_t *n, fa_error *e);

/* A running server takes each change over within half a second. */
fa_status fa_key_revoke(sqlite3 *db, int64_t id, int64_t now_s, fa_error *e);
fa_status fa_key_set_limits(sqlite3 *db, int64_t id, unsigned rights, const fa_key_limits *limits, fa_error *e);

/* Adds to the balance (`add`, also below 0) or replaces it. */
fa_status fa_key_set_balance(sqlite3 *db, int64_t id, bool metered, bool add, fa_money amount, fa_error *e);

#endif
