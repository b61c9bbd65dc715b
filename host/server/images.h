/* Drawn pictures as responses: PNG in base64. The engine thread's. */
#ifndef FA_SERVER_IMAGES_H
#define FA_SERVER_IMAGES_H

#include "host/server/exchange.h"
#include "host/server/job.h"

/* The choice's drawing ended: its picture, encoded, becomes c->content. False when memory ran out. */
bool fa_image_keep(fa_choice *c);

/* The whole response, malloc'd; NULL when memory ran out. */
char *fa_image_answer(const fa_exchange *x);

#endif
