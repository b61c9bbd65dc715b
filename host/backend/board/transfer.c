/* Transfers between host and card, checked end to end. PCIe protects its packets, but nothing tells that a DMA moved all of them, in
 * time, from and to the right place. So what was written is read back, and what is read is read twice, into memory that held
 * something else; where the copies differ the board is reset, which ends what may still be under way, and the transfer is made
 * again. Steps move little (tokens in, router scores and logits out), and weights are sent once. */
#include <stdlib.h>
#include <string.h>

#include "host/backend/board/state.h"

enum { PIECE = 1 << 20, TRIES = 4, POISON = 0xA5 };

fa_status board_transfer_open(fa_board_backend *b, fa_error *e) {
    b->verify = malloc(PIECE);
    return b->verify ? FA_OK : fa_fail(e, FA_ENOMEM, "%s: no memory to check transfers with", b->base.name);
}

/* Resets the board; its memory must survive. */
static fa_status reset(fa_board_backend *b, fa_error *e) {
    bool memory_lost;
    fa_status s = b->device->recover(b->device, &memory_lost, e);
    if (!s && memory_lost) {
        b->failed = b->memory_lost = true;
        s = fa_fail(e, FA_EDEVICE, "board %s: its memory was lost", b->device->board->name);
    }
    return s;
}

static fa_status piece(fa_board_backend *b, const fa_device_buffer *card, size_t offset, void *host, bool to_card,
                       size_t bytes, fa_error *e) {
    fa_device *d = b->device;
    for (int i = 0; i < TRIES; i++) {
        memset(b->verify, POISON, bytes);
        if (!to_card) memset(host, ~POISON, bytes);
        fa_status s = to_card ? d->write(d, card, offset, host, bytes, e) : d->read(d, card, offset, host, bytes, e);
        if (!s) s = d->read(d, card, offset, b->verify, bytes, e);
        if (s) return s;
        if (!memcmp(b->verify, host, bytes)) return FA_OK;
        if ((s = reset(b, e))) return s;
    }
    return fa_fail(e, FA_EDEVICE, "board %s: %zu bytes %s the card arrived wrong %d times", d->board->name, bytes,
                   to_card ? "to" : "from", TRIES);
}

static fa_status all_pieces(fa_board_backend *b, const fa_device_buffer *card, size_t offset, uint8_t *host,
                            bool to_card, size_t bytes, fa_error *e) {
    fa_status s = FA_OK;
    for (size_t done = 0, n; done < bytes && !s; done += n) {
        n = bytes - done < PIECE ? bytes - done : PIECE;
        s = piece(b, card, offset + done, host + done, to_card, n, e);
    }
    return s;
}

fa_status board_write(fa_board_backend *b, const fa_device_buffer *to, size_t offset, const void *from, size_t bytes,
                      fa_error *e) {
    return all_pieces(b, to, offset, (uint8_t *)from, true, bytes, e); /* written from, never to */
}

fa_status board_read(fa_board_backend *b, const fa_device_buffer *from, size_t offset, void *to, size_t bytes,
                     fa_error *e) {
    return all_pieces(b, from, offset, to, false, bytes, e);
}
