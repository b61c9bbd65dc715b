#include <stdlib.h>
#include <string.h>

#include "host/backend/board/state.h"

enum { LOW = 0, HIGH, LINE = 64, EXPERT_OPS = 4 };

static size_t round_up(size_t bytes) {
    return (bytes + LINE - 1) / LINE * LINE;
}

/* One table of each kind about places, twice; and those of some ops with experts. */
fa_status board_tables_open(fa_board_backend *b, fa_error *e) {
    const fa_limits *l = &b->limits;
    size_t rows = (size_t)l->max_rows, pages = (size_t)l->max_positions / FA_PAGE_POSITIONS + 1;
    size_t experts = (size_t)(l->max_experts > 1 ? l->max_experts : 1),
           k = (size_t)(l->max_top_k > 1 ? l->max_top_k : 1);
    size_t places = 4 * (rows * (pages + 6)) + 4 * LINE;
    size_t routes = (size_t)b->units * (4 * (experts * HLS_EXPERT_FIELDS + rows * k * 2) + LINE);
    board_tables *t = &b->tables;
    board_tables_close(b);
    t->bytes = round_up(2 * places + EXPERT_OPS * routes);
    t->host = calloc(1, t->bytes);
    if (!t->host) return fa_fail(e, FA_ENOMEM, "%s: no memory for tables of %zu bytes", b->base.name, t->bytes);
    board_tables_begin(t);
    return board_io_alloc(b, t->bytes, &t->card, e);
}

void board_tables_close(fa_board_backend *b) {
    if (b->tables.card) b->device->free(b->device, b->tables.card);
    free(b->tables.host);
    b->tables = (board_tables){0};
}

void board_tables_begin(board_tables *t) {
    t->low = 0;
    t->high = t->bytes;
    memset(t->last, 0, sizeof t->last);
    for (int side = LOW; side <= HIGH; side++) {
        t->dirty[side][0] = t->bytes;
        t->dirty[side][1] = 0;
    }
}

void board_tables_forget(board_tables *t) {
    if (t->host) memset(t->host, 0, t->bytes); /* as the card's */
}

static void put(board_tables *t, int side, size_t at, const void *values, size_t bytes) {
    if (!memcmp(t->host + at, values, bytes)) return;
    memcpy(t->host + at, values, bytes);
    if (at < t->dirty[side][0]) t->dirty[side][0] = at;
    if (at + bytes > t->dirty[side][1]) t->dirty[side][1] = at + bytes;
}

/* Rows that follow each other and have the same pages: end of the run that starts at row t, and its furthest position. */
static int64_t run_of(const fa_place *place, int64_t rows, int64_t t, int32_t *pos) {
    int64_t end = t;
    for (*pos = 0; end < rows && place[end].pages == place[t].pages; end++)
        *pos = place[end].pos > *pos ? place[end].pos : *pos;
    return end;
}

static size_t bytes_of(board_table_kind kind, const void *rows, int64_t n) {
    static const int fields[] = {2, 1, 2, 1};
    size_t ints = (size_t)n * (size_t)fields[kind];
    int32_t pos;
    for (int64_t t = 0; kind == BOARD_TABLE_PAGES && t < n; ints += (size_t)pos / FA_PAGE_POSITIONS + 1)
        t = run_of(rows, n, t, &pos);
    return ints * sizeof(int32_t);
}

static void put_pages(board_tables *t, size_t at, const fa_place *place, int64_t n) {
    int32_t next = (int32_t)(2 * n), pos;
    for (int64_t r = 0, end; r < n; r = end) {
        end = run_of(place, n, r, &pos);
        int32_t pages = pos / FA_PAGE_POSITIONS + 1;
        for (int64_t i = r; i < end; i++) put(t, LOW, at + (size_t)i * 8, (int32_t[2]){place[i].pos, next}, 8);
        put(t, LOW, at + (size_t)next * 4, place[r].pages, (size_t)pages * 4);
        next += pages;
    }
}

static void put_rows(board_tables *t, size_t at, board_table_kind kind, const void *rows, int64_t n) {
    const fa_place *place = rows;
    if (kind == BOARD_TABLE_INDEX) put(t, LOW, at, rows, (size_t)n * 4);
    if (kind == BOARD_TABLE_PAGES) put_pages(t, at, place, n);
    for (int64_t i = 0; i < n && kind == BOARD_TABLE_POSITIONS; i++) put(t, LOW, at + (size_t)i * 4, &place[i].pos, 4);
    for (int64_t i = 0; i < n && kind == BOARD_TABLE_PLACES; i++) {
        int32_t pos = place[i].pos, page = place[i].pages[pos / FA_PAGE_POSITIONS];
        put(t, LOW, at + (size_t)i * 8, (int32_t[2]){page, pos % FA_PAGE_POSITIONS}, 8);
    }
}

bool board_table_rows(board_tables *t, board_table_kind kind, const void *rows, int64_t n, size_t *at) {
    if (t->last[kind] == rows && t->last_rows[kind] == n) {
        *at = t->last_at[kind];
        return true;
    }
    size_t bytes = round_up(bytes_of(kind, rows, n) + (n == 0));
    if (bytes > t->high - t->low) return false;
    *at = t->low;
    t->low += bytes;
    put_rows(t, *at, kind, rows, n);
    t->last[kind] = rows;
    t->last_rows[kind] = n;
    t->last_at[kind] = *at;
    return true;
}

int32_t *board_table_routes(board_tables *t, int64_t ints, size_t *at) {
    size_t bytes = round_up((size_t)(ints > 0 ? ints : 1) * sizeof(int32_t));
    if (bytes > t->high - t->low) return NULL;
    t->high -= bytes;
    *at = t->high;
    t->dirty[HIGH][0] = t->high;
    t->dirty[HIGH][1] = t->bytes;
    return (int32_t *)(void *)(t->host + t->high);
}

fa_status board_tables_send(fa_board_backend *b, fa_error *e) {
    board_tables *t = &b->tables;
    fa_status s = FA_OK;
    for (int side = LOW; side <= HIGH && !s; side++) {
        size_t first = t->dirty[side][0], end = t->dirty[side][1];
        if (first < end) s = board_write(b, t->card, first, t->host + first, end - first, e);
        if (s) board_tables_forget(t);
    }
    return s;
}
