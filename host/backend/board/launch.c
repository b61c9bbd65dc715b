/* Calls of kernels: arguments in the order of hls/kernels.h, and who waits for whom. */
#include <string.h>

#include "host/backend/board/state.h"

/* A unit runs its launches in order; what another unit reads or writes must have ended. */
fa_status board_after(fa_board_backend *b, uint32_t units, fa_error *e) {
    uint32_t all = b->in_flight | units;
    if (!b->in_flight || !(all & (all - 1))) return FA_OK;
    b->in_flight = 0;
    return b->device->wait(b->device, e);
}

/* Kernels with weights take the base pointers of the unit's ports first; segment -1: a kernel without. */
void board_call_begin(const fa_board_backend *b, board_call *c, const char *kernel, int32_t unit, int32_t segment) {
    c->kernel = kernel;
    c->unit = unit;
    c->n = 0;
    for (int32_t p = 0; p < b->ports && segment >= 0; p++)
        board_arg_buffer(c, b->segments[segment].port[unit * b->ports + p], 0);
}

void board_arg_buffer(board_call *c, const fa_device_buffer *buffer, size_t offset) {
    c->args[c->n++] = (fa_device_arg){buffer, offset};
}

void board_arg_ref(board_call *c, fa_ref ref) {
    board_arg_buffer(c, board_card(ref.buffer), 0);
}

void board_arg_int(board_call *c, int64_t value, int bytes) {
    c->args[c->n++] = (fa_device_arg){NULL, bytes == 4 ? (uint32_t)value : (uint64_t)value};
}

void board_arg_float(board_call *c, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    board_arg_int(c, bits, 4);
}

fa_status board_start(fa_board_backend *b, const board_call *c, fa_error *e) {
    fa_status s = b->device->launch(b->device, c->kernel, c->unit, c->args, c->n, e);
    if (!s) b->in_flight |= 1u << c->unit;
    return s;
}
