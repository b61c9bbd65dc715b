#include "sim/xrt_device/message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Tags of the frame, and sizes. A copy is cut into messages of 8 MiB (shim.cxx, message_size). */
enum { LENGTH_TAG = 0x09, CALL_TAG = 0x15, REQUEST_HEAD = 14, RESPONSE_HEAD = 9, MAX_BODY = 256 << 20 };
enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 }; /* wire types */

/* ---- fields ---- */

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return true;
    }
    return false;
}

/* False when the field runs past the end. */
static bool read_field(const uint8_t **at, const uint8_t *end, unsigned wire, struct xrt_field *f) {
    size_t fixed = wire == FIXED64 ? 8 : 4;
    f->bytes = *at;
    switch (wire) {
    case VARINT: return read_varint(at, end, &f->value);
    case FIXED64:
    case FIXED32:
        if ((size_t)(end - *at) < fixed) return false;
        memcpy(&f->value, *at, fixed);
        *at += fixed;
        return true;
    case BYTES:
        if (!read_varint(at, end, &f->value) || f->value > (uint64_t)(end - *at)) return false;
        f->bytes = *at;
        f->n = (size_t)f->value;
        *at += f->n;
        return true;
    default: return false;
    }
}

fa_status xrt_request_parse(xrt_request *r, uint32_t call, const uint8_t *body, size_t n, fa_error *e) {
    const uint8_t *at = body, *end = body + n;
    *r = (xrt_request){.call = call};
    while (at < end) {
        size_t where = (size_t)(at - body);
        uint64_t tag;
        struct xrt_field f = {0};
        if (!read_varint(&at, end, &tag) || tag >> 3 == 0 || !read_field(&at, end, tag & 7, &f))
            return fa_fail(e, FA_EFORMAT, "XRT's message %u: byte %zu of %zu is no field", call, where, n);
        if (tag >> 3 < XRT_FIELDS) r->field[tag >> 3] = f;
    }
    return FA_OK;
}

/* ---- frames ---- */

static fa_status grow(xrt_bytes *b, size_t capacity, fa_error *e) {
    if (capacity <= b->capacity) return FA_OK;
    uint8_t *more = realloc(b->data, capacity);
    if (!more) return fa_fail(e, FA_ENOMEM, "no memory for a message of %zu bytes", capacity);
    b->data = more;
    b->capacity = capacity;
    return FA_OK;
}

/* Reads all n bytes; *end: there was none. */
static fa_status read_all(int socket, uint8_t *to, size_t n, bool *end, fa_error *e) {
    *end = false;
    for (size_t done = 0; done < n;) {
        ssize_t got = recv(socket, to + done, n - done, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fa_fail(e, FA_EIO, "XRT's socket: %s", strerror(errno));
        *end = !got && !done;
        if (*end) return FA_OK;
        if (!got) return fa_fail(e, FA_EFORMAT, "XRT's message ends after %zu of %zu bytes", done, n);
        done += (size_t)got;
    }
    return FA_OK;
}

fa_status xrt_receive(int socket, xrt_bytes *body, xrt_request *r, bool *end, fa_error *e) {
    uint8_t head[REQUEST_HEAD];
    uint64_t n;
    uint32_t call;
    fa_status s = read_all(socket, head, sizeof head, end, e);
    if (s || *end) return s;
    memcpy(&n, head + 1, sizeof n);
    memcpy(&call, head + 10, sizeof call);
    if (head[0] != LENGTH_TAG || head[9] != CALL_TAG || n > MAX_BODY)
        return fa_fail(e, FA_EFORMAT, "XRT's message begins %02x .. %02x, length %llu: not its protocol as of 2.13",
                       head[0], head[9], (unsigned long long)n);
    s = grow(body, (size_t)n + 1, e);
    if (!s) s = read_all(socket, body->data, (size_t)n, end, e);
    if (!s && *end)
        s = fa_fail(e, FA_EFORMAT, "XRT's message %u ends before its %llu bytes", call, (unsigned long long)n);
    return s ? s : xrt_request_parse(r, call, body->data, (size_t)n, e);
}

void xrt_response_begin(xrt_bytes *r) {
    r->n = RESPONSE_HEAD;
}

static size_t put_varint(uint8_t *at, uint64_t value) {
    size_t n = 0;
    for (; value > 0x7f; value >>= 7) at[n++] = (uint8_t)(value | 0x80);
    at[n++] = (uint8_t)value;
    return n;
}

fa_status xrt_put_number(xrt_bytes *r, int field, uint64_t value, fa_error *e) {
    fa_status s = grow(r, r->n + 20, e);
    if (s) return s;
    r->data[r->n++] = (uint8_t)(field << 3 | VARINT);
    r->n += put_varint(r->data + r->n, value);
    return FA_OK;
}

fa_status xrt_put_bytes(xrt_bytes *r, int field, size_t n, uint8_t **at, fa_error *e) {
    fa_status s = grow(r, r->n + 20 + n, e);
    if (s) return s;
    r->data[r->n++] = (uint8_t)(field << 3 | BYTES);
    r->n += put_varint(r->data + r->n, n);
    *at = r->data + r->n;
    r->n += n;
    return FA_OK;
}

static fa_status send_all(int socket, const xrt_bytes *r, fa_error *e) {
    for (size_t done = 0; done < r->n;) {
        ssize_t sent = send(socket, r->data + done, r->n - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return fa_fail(e, FA_EIO, "XRT's socket: %s", strerror(errno));
        done += (size_t)sent;
    }
    return FA_OK;
}

fa_status xrt_response_send(int socket, xrt_bytes *r, fa_error *e) {
    uint64_t n = r->n - RESPONSE_HEAD;
    fa_status s = grow(r, RESPONSE_HEAD, e);
    if (s) return s;
    r->data[0] = LENGTH_TAG;
    memcpy(r->data + 1, &n, sizeof n);
    return send_all(socket, r, e);
}

fa_status xrt_request_send(int socket, xrt_bytes *r, xrt_call call, fa_error *e) {
    fa_status s = grow(r, REQUEST_HEAD, e);
    if (s) return s;
    r->n = REQUEST_HEAD;
    memset(r->data, 0, REQUEST_HEAD);
    r->data[0] = LENGTH_TAG;
    r->data[9] = CALL_TAG;
    r->data[10] = (uint8_t)call;
    return send_all(socket, r, e);
}
