/* Messages between XRT's emulation shims and the device model: framing and protocol-buffer fields.
 *
 * XRT 2.13, src/runtime_src: core/include/xcl_api_macros.h (framing), core/include/xcl_macros.h (numbers of the calls),
 * core/pcie/emulation/common_em/rpc_messages.proto (bodies, proto2). A request is 0x09, its body's length in 8 bytes, 0x15, the
 * call in 4 bytes, body; a response 0x09, length, body; each request is answered before the next one. */
#ifndef SIM_XRT_DEVICE_MESSAGE_H
#define SIM_XRT_DEVICE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/base/status.h"

typedef enum xrt_call {
    XRT_CALL_CLOSE = 1,
    XRT_CALL_LOAD = 3,
    XRT_CALL_ALLOC = 4,
    XRT_CALL_FREE = 5,
    XRT_CALL_TO_CARD = 6,
    XRT_CALL_FROM_CARD = 7,
    XRT_CALL_WRITE_UNIT = 9,
    XRT_CALL_READ_UNIT = 11,
    XRT_CALL_PROFILE_FIRST = 14,
    XRT_CALL_TIMESTAMP = 17,
    XRT_CALL_PROFILE_LAST = 18,
    XRT_CALL_DEBUG_MESSAGES = 19,
    XRT_CALL_ENVIRONMENT = 20,
    XRT_CALL_INSTANCE = 28,
    XRT_CALL_WRITE_REGISTER = 51,
    XRT_CALL_READ_REGISTER = 52,
    XRT_CALL_VERSION = 53,
} xrt_call;

enum { XRT_FIELDS = 10 };

/* A request: its fields by number; of one that comes several times the last. */
typedef struct xrt_request {
    uint32_t call;
    struct xrt_field {
        uint64_t value;       /* of a number */
        const uint8_t *bytes; /* of a text or message, [n]; NULL: it did not come */
        size_t n;
    } field[XRT_FIELDS];
} xrt_request;

/* A buffer that grows; free() its data. */
typedef struct xrt_bytes {
    uint8_t *data;
    size_t n, capacity;
} xrt_bytes;

/* Takes a body apart. FA_EFORMAT says what is wrong with it. */
fa_status xrt_request_parse(xrt_request *r, uint32_t call, const uint8_t *body, size_t n, fa_error *e);

/* The next request, whose bytes live in `body` until the next call; *end: the other side has closed instead. FA_EFORMAT, FA_EIO,
 * FA_ENOMEM. */
fa_status xrt_receive(int socket, xrt_bytes *body, xrt_request *r, bool *end, fa_error *e);

/* Appends a field to a response that begins with xrt_response_begin. */
void xrt_response_begin(xrt_bytes *r);
fa_status xrt_put_number(xrt_bytes *r, int field, uint64_t value, fa_error *e);
/* A field of n bytes, to be written to *at before anything else is appended. */
fa_status xrt_put_bytes(xrt_bytes *r, int field, size_t n, uint8_t **at, fa_error *e);
fa_status xrt_response_send(int socket, xrt_bytes *r, fa_error *e);

/* Sends a request without a body. */
fa_status xrt_request_send(int socket, xrt_bytes *r, xrt_call call, fa_error *e);

#endif
