/* Pictures that come in a request: parts of type image_url whose URL holds the picture itself. */
#ifndef FA_SERVER_PICTURES_H
#define FA_SERVER_PICTURES_H

#include <jansson.h>
#include <stdbool.h>

#include "host/fathom.h"
#include "host/server/reply.h"

typedef struct fa_picture_list {
    fathom_picture **all; /* [n] owned */
    size_t n;
} fa_picture_list;

void fa_picture_list_free(fa_picture_list *l);

/* True for {"type": "image_url", ...}. */
bool fa_is_picture(const json_t *part);

/* Opens the picture of such a part and adds it. Its URL (a text, or the `url` of an object) must be "data:image/...;base64,...": a server that fetched
 * URLs could be sent into the network that it stands in. A problem names `where`, as "messages[0].content[1]". */
bool fa_picture_add(fa_picture_list *l, fathom_engine *engine, const fathom_info *info, const json_t *part,
                    const char *where, fa_problem *p);

#endif
