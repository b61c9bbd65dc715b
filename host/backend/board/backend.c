/* The board backend as a fa_backend. A submission is cut into windows: for each, the tables of its ops are made and sent together,
 * then the launches of all its ops are started. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/backend/board/board.h"
#include "host/backend/board/state.h"

/* ---- memory ---- */

fa_status board_io_alloc(fa_board_backend *b, size_t bytes, fa_device_buffer **out, fa_error *e) {
    fa_status s = b->device->alloc(b->device, b->io_first, bytes, out, NULL);
    return s ? b->device->alloc(b->device, b->io, bytes, out, e) : FA_OK;
}

static fa_status alloc(fa_backend *base, size_t bytes, fa_buffer **out, fa_error *e) {
    fa_board_backend *b = (fa_board_backend *)base;
    *out = NULL;
    fa_status s = board_seal(b, NULL, e); /* weights first: they have no choice of banks */
    fa_buffer *buffer = s ? NULL : calloc(1, sizeof *buffer);
    if (!s && !buffer) s = fa_fail(e, FA_ENOMEM, "cannot allocate a buffer of %zu bytes", bytes);
    fa_device_buffer *card = NULL;
    if (!s) s = board_io_alloc(b, bytes, &card, e);
    if (s) {
        free(buffer);
        return s;
    }
    *buffer = (fa_buffer){.bytes = bytes, .device = card};
    b->buffer_bytes += bytes;
    *out = buffer;
    return FA_OK;
}

static void free_buffer(fa_backend *base, fa_buffer *buffer) {
    fa_board_backend *b = (fa_board_backend *)base;
    if (!buffer) return;
    b->buffer_bytes -= buffer->bytes;
    b->device->free(b->device, buffer->device);
    free(buffer);
}

static fa_status check_works(const fa_board_backend *b, fa_error *e) {
    if (!b->failed) return FA_OK;
    return fa_fail(e, FA_EDEVICE, "board %s: it failed, and has not been recovered", b->device->board->name);
}

static fa_status check_copy(const fa_board_backend *b, const fa_buffer *buffer, size_t offset, size_t bytes,
                            fa_error *e) {
    fa_status s = check_works(b, e);
    if (s) return s;
    if (offset <= buffer->bytes && bytes <= buffer->bytes - offset) return FA_OK;
    return fa_fail(e, FA_EINVAL, "buffer: %zu bytes at %zu are outside its %zu", bytes, offset, buffer->bytes);
}

static fa_status write_buffer(fa_backend *base, fa_buffer *to, size_t offset, const void *from, size_t bytes,
                              fa_error *e) {
    fa_board_backend *b = (fa_board_backend *)base;
    fa_status s = check_copy(b, to, offset, bytes, e);
    if (!s) s = board_write(b, to->device, offset, from, bytes, e);
    b->failed |= s == FA_EDEVICE;
    return s;
}

static fa_status read_buffer(fa_backend *base, const fa_buffer *from, size_t offset, void *to, size_t bytes,
                             fa_error *e) {
    fa_board_backend *b = (fa_board_backend *)base;
    fa_status s = check_copy(b, from, offset, bytes, e);
    if (!s) s = board_read(b, from->device, offset, to, bytes, e);
    b->failed |= s == FA_EDEVICE;
    return s;
}

static fa_status settle(fa_backend *base, const fa_progress *progress, fa_error *e) {
    return board_seal((fa_board_backend *)base, progress, e);
}

/* ---- reserve ---- */

/* What experts need between their launches. */
static fa_status alloc_routes(fa_board_backend *b, fa_error *e) {
    const fa_limits *l = &b->limits;
    size_t routes = (size_t)l->max_rows * (size_t)(l->max_top_k > 1 ? l->max_top_k : 1);
    free(b->first_route);
    b->first_route = calloc((size_t)l->max_experts + 1, sizeof *b->first_route);
    if (!b->first_route) return fa_fail(e, FA_ENOMEM, "%s: no memory for routes", b->base.name);
    b->inner_ld = (l->max_inner + 15) / 16 * 16;
    if (b->inner) b->device->free(b->device, b->inner);
    b->inner = NULL;
    return b->inner_ld ? board_io_alloc(b, routes * (size_t)b->inner_ld * sizeof(float), &b->inner, e) : FA_OK;
}

static fa_status reserve(fa_backend *base, const fa_limits *limits, fa_error *e) {
    fa_board_backend *b = (fa_board_backend *)base;
    fa_status s = board_check_reserve(b, limits, e);
    if (s) return s;
    b->limits = *limits;
    s = board_tables_open(b, e);
    return s ? s : alloc_routes(b, e);
}

/* ---- submissions ---- */

static fa_status plan_op(fa_board_backend *b, const fa_op *op, board_plan *p, bool *fits, fa_error *e) {
    board_tables *t = &b->tables;
    *fits = true;
    switch (op->kind) {
    case FA_OP_EXPERTS: return board_plan_experts(b, &op->experts, p, fits, e);
    case FA_OP_MLA:
        *fits = board_table_rows(t, BOARD_TABLE_PAGES, op->mla.place, op->mla.rows, &p->table);
        return board_plan_mla(b, &op->mla, e);
    case FA_OP_GQA: *fits = board_table_rows(t, BOARD_TABLE_PAGES, op->gqa.place, op->gqa.rows, &p->table); break;
    case FA_OP_ROPE:
        *fits = board_table_rows(t, BOARD_TABLE_POSITIONS, op->rope.place, op->rope.rows, &p->table);
        break;
    case FA_OP_STORE:
        *fits = board_table_rows(t, BOARD_TABLE_PLACES, op->store.place, op->store.rows, &p->table);
        break;
    case FA_OP_RMSNORM:
        if (op->rmsnorm.index)
            *fits = board_table_rows(t, BOARD_TABLE_INDEX, op->rmsnorm.index, op->rmsnorm.rows, &p->table);
        break;
    default: break;
    }
    return FA_OK;
}

static fa_status run_op(fa_board_backend *b, const fa_op *op, const board_plan *p, fa_error *e) {
    switch (op->kind) {
    case FA_OP_MATMUL: return board_run_matmul(b, &op->matmul, e);
    case FA_OP_EXPERTS: return board_run_experts(b, &op->experts, p, e);
    case FA_OP_MLA: return board_run_mla(b, &op->mla, p->table, e);
    case FA_OP_GQA: return board_run_gqa(b, &op->gqa, p->table, e);
    case FA_OP_RMSNORM: return board_run_norm(b, &op->rmsnorm, p->table, e);
    case FA_OP_ROPE: return board_run_rope(b, &op->rope, p->table, e);
    case FA_OP_ADD: return board_run_add(b, &op->add, e);
    case FA_OP_STORE: return board_run_store(b, &op->store, p->table, e);
    default: return FA_OK; /* fa_op_check refused it */
    }
}

static int64_t rows_of(const fa_op *op) {
    const int64_t rows[FA_OP_COUNT] = {
        [FA_OP_MATMUL] = op->matmul.rows, [FA_OP_EXPERTS] = op->experts.rows, [FA_OP_MLA] = op->mla.rows,
        [FA_OP_GQA] = op->gqa.rows,       [FA_OP_RMSNORM] = op->rmsnorm.rows, [FA_OP_ROPE] = op->rope.rows,
        [FA_OP_ADD] = op->add.rows,       [FA_OP_STORE] = op->store.rows,
    };
    return rows[op->kind];
}

/* As many of the ops as one window holds, *taken. */
static fa_status run_window(fa_board_backend *b, const fa_op *ops, int n, int *taken, fa_error *e) {
    fa_status s = FA_OK;
    bool fits = true;
    int i = 0;
    board_tables_begin(&b->tables);
    for (; i < n && i < BOARD_WINDOW && !s; i++) {
        if (rows_of(&ops[i])) s = plan_op(b, &ops[i], &b->plans[i], &fits, e);
        if (!fits) break;
    }
    *taken = i;
    if (!s && !i) s = fa_fail(e, FA_ELIMIT, "%s: its tables are more than was reserved", fa_op_name(ops[0].kind));
    if (!s) s = board_tables_send(b, e);
    for (int k = 0; k < i && !s; k++)
        if (rows_of(&ops[k])) s = run_op(b, &ops[k], &b->plans[k], e);
    return s;
}

static fa_status wait_all(fa_board_backend *b, fa_error *e) {
    b->in_flight = 0;
    return b->device->wait(b->device, e);
}

static fa_status submit(fa_backend *base, const fa_op *ops, int n, fa_ticket *ticket, fa_error *e) {
    fa_board_backend *b = (fa_board_backend *)base;
    fa_status s = FA_OK;
    for (int i = 0; i < n && !s; i++) {
        s = fa_op_check(&ops[i], e);
        if (!s) s = fa_limits_check(&ops[i], &b->limits, e);
        if (!s) s = board_check_op(&ops[i], e);
    }
    if (s) return s;
    s = check_works(b, e);
    if (!s && b->in_flight) s = wait_all(b, e); /* tables are in use */
    if (!s) s = board_seal(b, NULL, e);
    for (int done = 0, taken = 0; done < n && !s; done += taken) {
        if (done) s = wait_all(b, e);
        if (!s) s = run_window(b, ops + done, n - done, &taken, e);
    }
    b->failed |= s == FA_EDEVICE;
    *ticket = (fa_ticket){0};
    return s;
}

static fa_status wait_ticket(fa_backend *base, fa_ticket ticket, fa_error *e) {
    fa_board_backend *b = (fa_board_backend *)base;
    (void)ticket;
    fa_status s = wait_all(b, e);
    b->failed |= s == FA_EDEVICE;
    return s;
}

/* ---- the whole ---- */

static fa_status recover(fa_backend *base, bool *memory_lost, fa_error *e) {
    fa_board_backend *b = (fa_board_backend *)base;
    b->in_flight = 0;
    fa_status s = b->device->recover(b->device, memory_lost, e);
    if (s) return s;
    if (*memory_lost || b->memory_lost) {
        *memory_lost = true;
        board_tables_forget(&b->tables);
        s = board_send_again(b, e);
    }
    b->memory_lost = s && *memory_lost;
    b->failed = s != FA_OK;
    return s;
}

static bool used(const fa_backend *base, fa_backend_use *use) {
    fa_device *d = ((const fa_board_backend *)base)->device;
    fa_device_stats t = d->stats(d);
    *use = (fa_backend_use){.board = d->board->name,
                            .simulated = d->simulated,
                            .seconds = t.seconds,
                            .unit_cycles = t.unit_cycles,
                            .joules = t.joules,
                            .launches = t.launches,
                            .transfers = t.transfers,
                            .to_card = t.to_card,
                            .from_card = t.from_card};
    for (int32_t i = 0; i < d->banks; i++) {
        fa_device_bank bank = d->bank(d, i);
        use->bank_bytes += bank.weights + bank.io;
        use->card_used += bank.used;
        use->card_bytes += bank.bytes;
    }
    return true;
}

static fa_status timeline(fa_backend *base, const char *path, fa_error *e) {
    fa_device *d = ((fa_board_backend *)base)->device;
    return d->timeline ? d->timeline(d, path, e)
                       : fa_fail(e, FA_EUNSUPPORTED, "timeline: backend %s keeps none", base->name);
}

static size_t held_bytes(const fa_backend *base) {
    const fa_board_backend *b = (const fa_board_backend *)base;
    return b->buffer_bytes + b->tables.bytes + (b->inner ? b->inner->bytes : 0);
}

static void close_board(fa_backend *base) {
    fa_board_backend *b = (fa_board_backend *)base;
    fa_device *d = b->device;
    board_weights_close(b);
    board_tables_close(b);
    if (b->inner) d->free(d, b->inner);
    free(b->first_route);
    free(b->verify);
    d->close(d);
    free(b);
}

static const fa_backend entries = {
    .reserve = reserve,
    .weight = board_take_weight,
    .settle = settle,
    .alloc = alloc,
    .free = free_buffer,
    .write = write_buffer,
    .read = read_buffer,
    .submit = submit,
    .wait = wait_ticket,
    .recover = recover,
    .used = used,
    .timeline = timeline,
    .bytes = held_bytes,
    .close = close_board,
};

/* The memory that io ports reach: the kind of memory that their bank is of. */
static void find_io(fa_board_backend *b) {
    const fa_board *board = b->device->board;
    int32_t bank = fa_board_port_bank(board, &board->build, 0, board->build.ports), first = 0;
    int k = 0;
    while (k + 1 < board->n_bank_kinds && bank >= first + board->bank[k].count) first += board->bank[k++].count;
    b->io_first = (fa_bank_range){bank, 1};
    b->io = (fa_bank_range){first, board->bank[k].count};
}

static fa_status check_board(const fa_board *board, fa_error *e) {
    const fa_board_build *x = &board->build;
    if (x->units >= 1 && x->units <= BOARD_MAX_UNITS && x->ports >= 1 && x->ports <= HLS_MAX_PORTS) return FA_OK;
    return fa_fail(e, FA_ELIMIT, "board %s: %d units of %d ports are more than %d of %d", board->name, x->units,
                   x->ports, BOARD_MAX_UNITS, HLS_MAX_PORTS);
}

fa_status fa_board_backend_open(fa_backend **out, fa_device *device, const char *name, fa_error *e) {
    *out = NULL;
    fa_board_backend *b = calloc(1, sizeof *b);
    fa_status s = b ? check_board(device->board, e) : fa_fail(e, FA_ENOMEM, "%s: cannot allocate the backend", name);
    if (s) {
        free(b);
        device->close(device);
        return s;
    }
    const fa_board_build *build = &device->board->build;
    b->base = entries;
    b->base.name = name;
    b->device = device;
    b->units = build->units;
    b->ports = build->ports;
    find_io(b);
    snprintf(b->base.detail, sizeof b->base.detail, "%s, %d unit%s of %d ports, %.0f MHz", device->board->title,
             b->units, b->units == 1 ? "" : "s", b->ports, 1e-6 * build->clock_hz);
    s = board_transfer_open(b, e);
    if (s) {
        close_board(&b->base);
        return s;
    }
    *out = &b->base;
    return FA_OK;
}

fa_device *fa_board_backend_device(fa_backend *b) {
    return ((fa_board_backend *)b)->device;
}
