/* A backend over any board device (boards/device.h): weights lie packed in the banks of the compute units' ports, activations and
 * cache pages in the memory of their io ports, and ops become launches of the kernels of hls/. */
#ifndef FA_BACKEND_BOARD_BOARD_H
#define FA_BACKEND_BOARD_BOARD_H

#include "boards/device.h"
#include "host/backend/backend.h"

/* Takes the device over: it is closed with the backend, and at once when this fails. `name`: "sim", "xrt"; not copied. */
fa_status fa_board_backend_open(fa_backend **out, fa_device *device, const char *name, fa_error *e);

/* The device of such a backend. */
fa_device *fa_board_backend_device(fa_backend *b);

#endif
