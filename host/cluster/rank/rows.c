#include "host/cluster/rank/rank.h"

bool fa_rows_open(fa_rows *rows, fa_arena *arena, int32_t max_rows, int32_t ranks) {
    size_t n = (size_t)max_rows;
    return (rows->tokens = fa_arena_array(arena, n, sizeof *rows->tokens)) &&
           (rows->place = fa_arena_array(arena, n, sizeof *rows->place)) &&
           (rows->order = fa_arena_array(arena, n, sizeof *rows->order)) &&
           (rows->owner = fa_arena_array(arena, n, sizeof *rows->owner)) &&
           (rows->local = fa_arena_array(arena, n, sizeof *rows->local)) &&
           (rows->first = fa_arena_array(arena, (size_t)ranks + 1, sizeof *rows->first));
}

static fa_status find_owners(fa_rows *rows, const fa_step_message *m, int32_t size, const fa_rows *before,
                             fa_error *e) {
    for (int32_t t = 0; t < m->rows; t++) {
        int32_t from = m->from[t];
        if (before && (from < 0 || from >= before->rows))
            return fa_fail(e, FA_EINVAL, "mtp: row %d goes on from row %d, but the pass before had %d", t, from,
                           before->rows);
        rows->owner[t] = before ? before->owner[from] : fa_grid_row_owner(m->rows, size, t);
    }
    return FA_OK;
}

/* A counting sort by owner that keeps the order within each. */
fa_status fa_rows_place(fa_rows *rows, const fa_step_message *m, int32_t size, const fa_rows *before, fa_error *e) {
    int32_t at = 0;
    fa_status s = find_owners(rows, m, size, before, e);
    rows->rows = s ? 0 : m->rows;
    for (int32_t g = 0; g < size; g++) {
        rows->first[g] = at;
        for (int32_t t = 0; t < rows->rows; t++) {
            if (rows->owner[t] != g) continue;
            rows->local[t] = at - rows->first[g];
            rows->order[at] = t;
            rows->tokens[at] = m->tokens[t];
            rows->place[at++] = (fa_place){m->positions[t], m->pages + m->list_first[m->lists[t]]};
        }
    }
    rows->first[size] = at;
    return s;
}
