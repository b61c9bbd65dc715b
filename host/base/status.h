/* Errors as values: every fallible function returns a fa_status and, where the caller passed a fa_error,
 * fills its text with what was wrong and where (file, tensor, field, line). */
#ifndef FA_BASE_STATUS_H
#define FA_BASE_STATUS_H

typedef enum fa_status {
    FA_OK = 0,
    FA_EINVAL,       /* a bad argument of the caller */
    FA_EFORMAT,      /* a file whose content is wrong */
    FA_EIO,          /* the operating system refused a read, write, map or rename */
    FA_ENOMEM,       /* memory ran out */
    FA_EUNSUPPORTED, /* valid, but not something this build or backend does */
    FA_ELIMIT,       /* context, cache pages or another bounded thing ran out */
    FA_ECANCELLED,   /* the caller asked to stop */
    FA_ENUMERIC,     /* a NaN or an infinity where a number is needed */
    FA_EDEVICE,      /* a device failed or was lost */
    FA_STATUS_COUNT
} fa_status;

enum { FA_ERROR_TEXT = 512 };

typedef struct fa_error {
    fa_status status;
    char text[FA_ERROR_TEXT]; /* one line, no control characters, always terminated; cut with "..." when too long */
} fa_error;

/* Fills `e` (may be NULL) and returns `s`, so that callers write: return fa_fail(e, FA_EIO, "%s: ...", path). */
fa_status fa_fail(fa_error *e, fa_status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "what: " in front of the text already in `e`; returns e's status (FA_EINVAL when `e` is NULL). */
fa_status fa_error_prefix(fa_error *e, fa_status s, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A short stable name of a status ("format", "io", ...); never NULL. */
const char *fa_status_name(fa_status s);

#endif
