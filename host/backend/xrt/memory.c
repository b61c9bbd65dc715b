/* Buffers and copies. */
#include <stdlib.h>
#include <string.h>

#include "host/backend/xrt/device.h"

enum { PAGE = 4096, COPY_MS = 60000, FREE_MS = 60000 };

static fa_status ask_for(xrt_device *d, xrt_buffer *b, int32_t bank, fa_error *e) {
    wire_request r = {.kind = WIRE_ALLOC, .first = bank, .bytes = b->base.bytes};
    wire_reply reply;
    fa_status s = xrt_ask(d, &r, &reply, COPY_MS, e);
    if (s) return s;
    b->number = reply.buffer;
    b->bank = bank;
    b->base.address = reply.address;
    return FA_OK;
}

static fa_status no_room(const xrt_device *d, fa_bank_range banks, size_t bytes, fa_error *e) {
    char tag[24], last[24];
    int64_t left = 0;
    for (int32_t i = banks.first; i < banks.first + banks.count; i++) left += d->banks[i].bytes - d->banks[i].used;
    fa_board_bank_tag(&d->board, banks.first, tag);
    fa_board_bank_tag(&d->board, banks.first + banks.count - 1, last);
    return fa_fail(e, FA_ENOMEM, "board %s: bank%s %s%s%s: %zu bytes are needed, %lld are left%s", d->board.name,
                   banks.count > 1 ? "s" : "", tag, banks.count > 1 ? " to " : "", banks.count > 1 ? last : "", bytes,
                   (long long)left, banks.count > 1 ? ", and not that many in one bank" : "");
}

fa_status xrt_alloc(fa_device *base, fa_bank_range banks, size_t bytes, fa_device_buffer **out, fa_error *e) {
    xrt_device *d = (xrt_device *)base;
    *out = NULL;
    fa_status s = xrt_check_works(d, e);
    if (s) return s;
    if (banks.first < 0 || banks.count < 1 || banks.count > base->banks - banks.first)
        return fa_fail(e, FA_EINVAL, "banks %d .. %d: the board has %d", banks.first, banks.first + banks.count - 1,
                       base->banks);
    if (bytes > (size_t)fa_board_bytes(&d->board)) return no_room(d, banks, bytes, e);
    xrt_buffer *b = calloc(1, sizeof *b);
    if (!b) return fa_fail(e, FA_ENOMEM, "no memory for a buffer's record");
    b->base = (fa_device_buffer){.bytes = (bytes + (bytes == 0) + PAGE - 1) / PAGE * PAGE, .banks = banks, .own = d};
    s = FA_ENOMEM;
    for (int32_t i = banks.first; i < banks.first + banks.count && s == FA_ENOMEM; i++)
        if ((int64_t)b->base.bytes <= d->banks[i].bytes - d->banks[i].used) s = ask_for(d, b, i, e);
    if (s) {
        free(b);
        return s == FA_ENOMEM ? no_room(d, banks, bytes, e) : s;
    }
    d->banks[b->bank].used += (int64_t)b->base.bytes;
    b->next = d->buffers;
    d->buffers = b;
    *out = &b->base;
    return FA_OK;
}

void xrt_free(fa_device *base, fa_device_buffer *buffer) {
    xrt_device *d = (xrt_device *)base;
    xrt_buffer **at = &d->buffers;
    if (!buffer) return;
    while (&(*at)->base != buffer) at = &(*at)->next;
    xrt_buffer *b = *at;
    wire_request r = {.kind = WIRE_FREE, .buffer = b->number};
    wire_reply reply;
    if (!d->dead) xrt_ask(d, &r, &reply, FREE_MS, NULL);
    d->banks[b->bank].used -= (int64_t)b->base.bytes;
    *at = b->next;
    free(b);
}

fa_status xrt_alloc_again(xrt_device *d, fa_error *e) {
    fa_status s = FA_OK;
    for (xrt_buffer *b = d->buffers; b && !s; b = b->next) s = ask_for(d, b, b->bank, e);
    return s;
}

/* ---- copies ---- */

static fa_status copy(xrt_device *d, const fa_device_buffer *b, size_t offset, uint8_t *host, size_t bytes,
                      bool to_card, fa_error *e) {
    const xrt_buffer *own = (const xrt_buffer *)b;
    fa_device_bank *bank = &d->banks[own->bank];
    fa_status s = xrt_check_works(d, e);
    if (s) return s;
    if (offset > b->bytes || bytes > b->bytes - offset)
        return fa_fail(e, FA_EINVAL, "%zu bytes at %zu are outside the buffer's %zu", bytes, offset, b->bytes);
    for (size_t done = 0, n; done < bytes; done += n) {
        n = bytes - done < WIRE_STAGING_BYTES ? bytes - done : WIRE_STAGING_BYTES;
        wire_request r = {
            .kind = to_card ? WIRE_WRITE : WIRE_READ, .buffer = own->number, .offset = offset + done, .bytes = n};
        wire_reply reply;
        if (to_card) memcpy(d->process.staging, host + done, n);
        if ((s = xrt_ask(d, &r, &reply, COPY_MS, e))) return s;
        if (!to_card) memcpy(host + done, d->process.staging, n);
        *(to_card ? &bank->to_card : &bank->from_card) += (double)n;
        *(to_card ? &d->stats.to_card : &d->stats.from_card) += (double)n;
        d->stats.transfers++;
    }
    return FA_OK;
}

fa_status xrt_write(fa_device *base, const fa_device_buffer *to, size_t offset, const void *from, size_t bytes,
                    fa_error *e) {
    return copy((xrt_device *)base, to, offset, (uint8_t *)from, bytes, true, e); /* read from, never written */
}

fa_status xrt_read(fa_device *base, const fa_device_buffer *from, size_t offset, void *to, size_t bytes, fa_error *e) {
    return copy((xrt_device *)base, from, offset, to, bytes, false, e);
}
