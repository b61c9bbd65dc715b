/* What takes too long for the thread that talks HTTP and is not the engine's work: JSON, fields, templates and tokens of requests, and the
 * grammars of schemas. Each has threads of its own, so that a schema that was made to hurt keeps no request from being read. */
#ifndef FA_SERVER_PREPARE_H
#define FA_SERVER_PREPARE_H

#include <stdbool.h>

#include "host/server/exchange.h"
#include "host/server/job.h"

enum { FA_READERS = 2, FA_COMPILERS = 1 }; /* threads */

/* Queues an exchange whose body is whole; holds it until it is answered or passed on to the worker. False after the stop. */
bool fa_prepare_put(fa_exchange *x);

/* Queues the grammar of a choice of x->job, which the exchange is held for; c->compiled says when c->constraint is there or c->problem says
 * why not, and the worker is nudged. False after the stop. */
bool fa_prepare_compile(fa_exchange *x, fa_choice *c);

#endif
