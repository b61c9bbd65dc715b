/* The reference backend: every op as a straightforward scalar definition that reads like docs/numerics.md. It
 * is the truth that conformance compares the other backends to; it runs on the caller's thread and nothing in
 * it is fast. */
#ifndef FA_BACKEND_REFERENCE_H
#define FA_BACKEND_REFERENCE_H

#include "host/backend/backend.h"

fa_status fa_reference_open(fa_backend **out, const fa_backend_options *options, fa_error *e);

#endif
