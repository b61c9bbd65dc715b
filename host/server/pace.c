#include "host/server/pace.h"

/* what is left of a step's weight one step later: about the last two hundred count */
#define KEEP 0.995
/* variance of the number of rows, over its mean squared, below which no line can be laid through the steps */
#define SPREAD 0.01
/* a row costs at least this part of a step's mean cost of a row: noise must not make rows free */
#define ROW_LEAST (1.0 / 64)

typedef struct cost {
    double base, row; /* ns */
} cost;

static cost learn(const fa_pace *p) {
    if (!(p->rows > 0)) return (cost){0};
    double rows = p->rows / p->n, ns = p->ns / p->n, each = ns / rows;
    double variance = p->rows2 / p->n - rows * rows;
    double row = variance > SPREAD * rows * rows ? (p->rows_ns / p->n - rows * ns) / variance : each;
    if (row > each) row = each;
    if (row < ROW_LEAST * each) row = ROW_LEAST * each;
    return (cost){ns - row * rows, row};
}

void fa_pace_step(fa_pace *p, int32_t rows, int32_t newcomers, int64_t took_ns, double share) {
    const double r = rows, t = (double)took_ns;
    p->n = KEEP * p->n + 1;
    p->rows = KEEP * p->rows + r;
    p->rows2 = KEEP * p->rows2 + r * r;
    p->ns = KEEP * p->ns + t;
    p->rows_ns = KEEP * p->rows_ns + r * t;
    if (share >= 1) p->credit_ns = 0;
    if (share >= 1 || rows == newcomers) return;
    cost c = learn(p);
    double theirs = c.base + c.row * (rows - newcomers), most = share * (double)FA_PACE_STEP_NS;
    if (most < theirs) most = theirs;
    p->credit_ns += share * theirs - c.row * newcomers;
    if (p->credit_ns > most) p->credit_ns = most;
}

int32_t fa_pace_newcomers(const fa_pace *p, int32_t established, double share) {
    if (share >= 1) return INT32_MAX;
    cost c = learn(p);
    if (!(c.row > 0)) return 1; /* nothing is known yet */
    double alone = c.base > (double)FA_PACE_ALONE_NS ? c.base : (double)FA_PACE_ALONE_NS;
    double least = c.base + c.row * established;
    double may = !established ? alone : p->credit_ns < least ? p->credit_ns : least;
    double rows = may / c.row;
    if (!established && rows < 1) return 1;
    return rows < INT32_MAX ? (int32_t)rows : INT32_MAX;
}
