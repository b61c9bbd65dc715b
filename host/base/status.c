#include "host/base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void format_text(char *text, const char *fmt, va_list args) {
    int n = vsnprintf(text, FA_ERROR_TEXT, fmt, args);
    if (n >= FA_ERROR_TEXT) memcpy(text + FA_ERROR_TEXT - 4, "...", 4);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7F) *p = ' '; /* names in files may hold terminal commands */
}

fa_status fa_fail(fa_error *e, fa_status s, const char *fmt, ...) {
    if (!e) return s;
    va_list args;
    va_start(args, fmt);
    e->status = s;
    format_text(e->text, fmt, args);
    va_end(args);
    return s;
}

fa_status fa_error_prefix(fa_error *e, fa_status s, const char *fmt, ...) {
    if (!e) return s;
    char old[FA_ERROR_TEXT], head[FA_ERROR_TEXT];
    memcpy(old, e->text, sizeof old);
    va_list args;
    va_start(args, fmt);
    format_text(head, fmt, args);
    va_end(args);
    return fa_fail(e, s, "%s: %s", head, old);
}

const char *fa_status_name(fa_status s) {
    static const char *const names[FA_STATUS_COUNT] = {
        [FA_OK] = "ok",          [FA_EINVAL] = "invalid",       [FA_EFORMAT] = "format",
        [FA_EIO] = "io",         [FA_ENOMEM] = "memory",        [FA_EUNSUPPORTED] = "unsupported",
        [FA_ELIMIT] = "limit",   [FA_ECANCELLED] = "cancelled", [FA_ENUMERIC] = "numeric",
        [FA_EDEVICE] = "device",
    };
    return (unsigned)s < FA_STATUS_COUNT ? names[s] : "unknown";
}
