/* The cpu backend: every op on worker threads with AVX-512, AVX2 or plain C, whichever this CPU offers (FATHOM_ISA
 * forces one). Its results equal the reference's bit for bit. */
#ifndef FA_BACKEND_CPU_CPU_H
#define FA_BACKEND_CPU_CPU_H

#include "host/backend/backend.h"

/* Opens it with `options->threads` workers on `options->node`. Ops run inside submit; wait returns at once. */
fa_status fa_cpu_open(fa_backend **out, const fa_backend_options *options, fa_error *e);

#endif
