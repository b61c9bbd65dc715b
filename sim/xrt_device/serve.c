/* XRT's calls. sw_emu and hw_emu differ in what an address is and in when a card is closed. */
#include <string.h>

#include "sim/xrt_device/card.h"
#include "sim/xrt_device/message.h"

/* One request, its answer, and where both belong. */
typedef struct xrt_turn {
    xrt_card *card;
    bool sw_emu, last; /* last: the card closes with this answer */
    const xrt_request *request;
    xrt_bytes *response;
} xrt_turn;

static uint64_t number(const xrt_turn *t, int field) {
    return t->request->field[field].value;
}

static fa_status acknowledge(xrt_turn *t, fa_error *e) {
    return xrt_put_number(t->response, 1, 1, e);
}

static fa_status empty(xrt_turn *t, fa_error *e) {
    (void)t, (void)e;
    return FA_OK;
}

/* sw_emu closes before each xclbin too, and says whether the card goes on. */
static fa_status close_card(xrt_turn *t, fa_error *e) {
    t->last = !t->sw_emu || number(t, 3);
    return acknowledge(t, e);
}

static fa_status alloc(xrt_turn *t, fa_error *e) {
    fa_status s = xrt_card_clear(t->card, number(t, 1), number(t, 2), e);
    return s ? s : acknowledge(t, e);
}

static fa_status to_card(xrt_turn *t, fa_error *e) {
    const struct xrt_field *from = &t->request->field[4];
    uint64_t address = number(t, 3) + (t->sw_emu ? 0 : number(t, 6)), bytes = number(t, 5);
    if (from->n != bytes)
        return fa_fail(e, FA_EFORMAT, "XRT's copy to the card: %llu bytes are said, %zu came",
                       (unsigned long long)bytes, from->n);
    pthread_mutex_lock(&t->card->lock);
    fa_status s = sim_transfer(t->card->sim, address, (void *)from->bytes, from->n, true, e); /* read from */
    pthread_mutex_unlock(&t->card->lock);
    return s ? s : xrt_put_number(t->response, 1, bytes, e);
}

static fa_status from_card(xrt_turn *t, fa_error *e) {
    uint64_t address = number(t, 4) + (t->sw_emu ? 0 : number(t, 6)), bytes = number(t, 5);
    uint8_t *to;
    if (bytes > t->card->sim->memory.bytes)
        return fa_fail(e, FA_EINVAL, "XRT's copy from the card: %llu bytes", (unsigned long long)bytes);
    fa_status s = xrt_put_number(t->response, 1, bytes, e);
    if (!s) s = xrt_put_bytes(t->response, 2, (size_t)bytes, &to, e);
    if (s) return s;
    memset(to, 0, (size_t)bytes); /* what does not arrive */
    pthread_mutex_lock(&t->card->lock);
    s = sim_transfer(t->card->sim, address, to, (size_t)bytes, false, e);
    pthread_mutex_unlock(&t->card->lock);
    return s;
}

static fa_status write_at(xrt_turn *t, uint64_t address, int field, fa_error *e) {
    const struct xrt_field *from = &t->request->field[field];
    fa_status s = xrt_card_write(t->card, address, from->bytes, from->n, e);
    return s ? s : acknowledge(t, e);
}

static fa_status read_at(xrt_turn *t, uint64_t address, int field, fa_error *e) {
    uint64_t n = number(t, field);
    uint8_t *to;
    if (n > FA_XCLBIN_UNIT_RANGE)
        return fa_fail(e, FA_EINVAL, "XRT reads %llu bytes of registers", (unsigned long long)n);
    fa_status s = acknowledge(t, e);
    if (!s) s = xrt_put_bytes(t->response, 2, (size_t)n, &to, e);
    return s ? s : xrt_card_read(t->card, address, to, (size_t)n, e);
}

static fa_status write_unit(xrt_turn *t, fa_error *e) {
    return write_at(t, number(t, 2), 4, e);
}

static fa_status read_unit(xrt_turn *t, fa_error *e) {
    return read_at(t, number(t, 2), 3, e);
}

static fa_status write_register(xrt_turn *t, fa_error *e) {
    return write_at(t, number(t, 1) + number(t, 2), 3, e);
}

static fa_status read_register(xrt_turn *t, fa_error *e) {
    return read_at(t, number(t, 1) + number(t, 2), 3, e);
}

/* What a call needs, and what answers it. */
static const struct handler {
    xrt_call first, last;
    uint32_t needs; /* bit f: field f must come */
    fa_status (*run)(xrt_turn *t, fa_error *e);
} handlers[] = {
    {XRT_CALL_CLOSE, XRT_CALL_CLOSE, 0, close_card},
    {XRT_CALL_LOAD, XRT_CALL_LOAD, 0, acknowledge},
    {XRT_CALL_ALLOC, XRT_CALL_ALLOC, 1 << 1 | 1 << 2, alloc},
    {XRT_CALL_FREE, XRT_CALL_FREE, 1 << 1, acknowledge},
    {XRT_CALL_TO_CARD, XRT_CALL_TO_CARD, 1 << 3 | 1 << 4 | 1 << 5, to_card},
    {XRT_CALL_FROM_CARD, XRT_CALL_FROM_CARD, 1 << 4 | 1 << 5, from_card},
    {XRT_CALL_WRITE_UNIT, XRT_CALL_WRITE_UNIT, 1 << 2 | 1 << 4, write_unit},
    {XRT_CALL_READ_UNIT, XRT_CALL_READ_UNIT, 1 << 2 | 1 << 3, read_unit},
    {XRT_CALL_TIMESTAMP, XRT_CALL_TIMESTAMP, 0, acknowledge},
    {XRT_CALL_PROFILE_FIRST, XRT_CALL_PROFILE_LAST, 0, empty},
    {XRT_CALL_DEBUG_MESSAGES, XRT_CALL_DEBUG_MESSAGES, 0, empty},
    {XRT_CALL_ENVIRONMENT, XRT_CALL_ENVIRONMENT, 0, acknowledge},
    {XRT_CALL_INSTANCE, XRT_CALL_INSTANCE, 0, acknowledge},
    {XRT_CALL_WRITE_REGISTER, XRT_CALL_WRITE_REGISTER, 1 << 1 | 1 << 2 | 1 << 3, write_register},
    {XRT_CALL_READ_REGISTER, XRT_CALL_READ_REGISTER, 1 << 1 | 1 << 2 | 1 << 3, read_register},
    {XRT_CALL_VERSION, XRT_CALL_VERSION, 0, acknowledge},
};
enum { N_HANDLERS = sizeof handlers / sizeof *handlers };

static fa_status answer(xrt_turn *t, fa_error *e) {
    const xrt_request *r = t->request;
    for (int i = 0; i < N_HANDLERS; i++) {
        const struct handler *h = &handlers[i];
        if (r->call < (uint32_t)h->first || r->call > (uint32_t)h->last) continue;
        for (int f = 1; f < XRT_FIELDS; f++)
            if (h->needs >> f & 1 && !r->field[f].bytes)
                return fa_fail(e, FA_EFORMAT, "XRT's message %u has no field %d", r->call, f);
        return h->run(t, e);
    }
    return fa_fail(e, FA_EUNSUPPORTED, "XRT's message %u is none that this device model knows (XRT 2.13)", r->call);
}

fa_status xrt_card_serve(xrt_card *c, int socket, bool sw_emu, fa_error *e) {
    xrt_bytes body = {0}, response = {0};
    xrt_request request;
    xrt_turn turn = {.card = c, .sw_emu = sw_emu, .request = &request, .response = &response};
    fa_status s = FA_OK;
    bool end = false;
    while (!s && !turn.last && !(s = xrt_receive(socket, &body, &request, &end, e)) && !end) {
        xrt_response_begin(&response);
        s = answer(&turn, e);
        if (!s) s = xrt_response_send(socket, &response, e);
    }
    return s; /* the process ends: what is held goes with it */
}
