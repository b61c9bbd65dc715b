/* libmicrohttpd: connections, headers, bodies; from there to routes. */
#ifndef FA_SERVER_HTTP_H
#define FA_SERVER_HTTP_H

#include "host/base/status.h"

struct fa_server;

/* Starts answering on server->socket. FA_EIO. */
fa_status fa_http_open(struct fa_server *server, fa_error *e);
/* All connections must be about to end: those that are suspended are waited for. */
void fa_http_close(struct fa_server *server);

#endif
