/* The chat page: files that are part of the program. */
#ifndef FA_SERVER_PAGE_H
#define FA_SERVER_PAGE_H

#include <stddef.h>

typedef struct fa_page_file {
    const char *name; /* behind /page/; "" is the page itself */
    const char *type; /* content type */
    const char *data, *end;
} fa_page_file;

/* NULL when there is no such file. */
const fa_page_file *fa_page_find(const char *name);

/* What a page may load: its own server's files alone, no script or style inside HTML (Content-Security-Policy). */
extern const char fa_page_policy[];

#endif
