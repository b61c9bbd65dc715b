#include "host/cli/plot.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "host/base/file.h"

/* A running gnuplot whose picture goes to a file that appears when it is complete. */
typedef struct plot {
    fa_new_file file;
    FILE *script; /* gnuplot's standard input */
} plot;

static fa_status plot_open(plot *p, const char *path, int width, int height, fa_error *e) {
    const char *dot = strrchr(path, '.');
    bool svg = dot && !strcmp(dot, ".svg"), png = dot && !strcmp(dot, ".png");
    *p = (plot){0};
    if (!svg && !png) return fa_fail(e, FA_EINVAL, "%s: expected a name that ends in .png or .svg", path);
    if (strchr(path, '\'') || strchr(path, '\n'))
        return fa_fail(e, FA_EINVAL, "%s: gnuplot takes no quotes and line ends in names", path);
    if (system("command -v gnuplot >/dev/null"))
        return fa_fail(e, FA_EUNSUPPORTED, "%s: drawing needs gnuplot (Debian: apt-get install gnuplot-nox)", path);
    fa_status s = fa_new_file_open(&p->file, path, e);
    if (s) return s;
    p->script = popen("gnuplot", "w");
    if (!p->script) {
        s = fa_fail(e, FA_EIO, "gnuplot: %m");
        fa_new_file_abandon(&p->file);
        return s;
    }
    if (svg)
        fprintf(p->script, "set terminal svg size %d,%d font 'sans,13' background '#ffffff'\n", width, height);
    else
        fprintf(p->script, "set terminal pngcairo size %d,%d font 'sans,11'\n", width, height);
    fprintf(p->script, "set output '%s'\nset grid lc '#dddddd'\nset border lc '#444444'\nset tics nomirror\n",
            p->file.temporary);
    return FA_OK;
}

static fa_status plot_close(plot *p, const char *path, fa_error *e) {
    void (*before)(int) = signal(SIGPIPE, SIG_IGN); /* a gnuplot that ended early is an error below */
    int ended = pclose(p->script);
    signal(SIGPIPE, before);
    fa_status s = ended ? fa_fail(e, FA_EIO, "%s: gnuplot failed", path) : fa_new_file_commit(&p->file, e);
    fa_new_file_abandon(&p->file);
    return s;
}

/* ---- a plan ---- */

/* Multiply-adds for a byte of weights, and a second of one board. */
static double intensity(const fa_plan *p) {
    return (p->pass.macs_fp8 + p->pass.macs_fp32) / p->pass.weight_bytes;
}
static double reached(const fa_plan *p) {
    double boards = (double)p->split.stages * p->split.ways;
    return (p->pass.macs_fp8 + p->pass.macs_fp32) / (p->round_s / p->groups * boards);
}

static void draw_roofline(FILE *f, const cli_plan_options *o, const fa_plan *plans, const int32_t *batches, int n) {
    const fa_board_build *b = &o->board.build;
    double rate = fa_board_read_rate(&o->board, b);
    double lanes = (double)b->units * b->ports * b->port_bytes * b->rows * b->clock_hz;
    double lowest = lanes * 1e-12;
    fputs("$roofline << EOD\n", f);
    for (int i = 0; i < n; i++) {
        lowest = fmin(lowest, reached(&plans[i]) * 1e-12);
        bool crowded = false; /* by the label of another */
        for (int k = 0; k < i; k++) crowded |= fabs(log(reached(&plans[i]) / reached(&plans[k]))) < 0.08;
        fprintf(f, "%.9g %.9g", intensity(&plans[i]), reached(&plans[i]) * 1e-12);
        fprintf(f, crowded ? " \"\"\n" : " %d\n", batches[i]);
    }
    fputs("EOD\n", f);
    fprintf(f,
            "set title 'Roofline of one %s'\nset logscale xy\nset key bottom right\n"
            "set xlabel 'multiply-adds for each byte of weights read'\nset ylabel 'TMAC/s of one board'\n"
            "set xrange [0.25:32]\nset yrange [%.9g:%.9g]\n",
            o->board.title, lowest * 0.5, lanes * 4e-12);
    fprintf(f,
            "plot [0.25:32] %.9g * x < %.9g ? %.9g * x : 1/0 with lines lw 2 lc '#1f77b4' title "
            "'%.0f GB/s of weight banks', %.9g with lines lw 2 dt 2 lc '#d62728' title '%.2f TMAC/s of FP8 lanes', "
            "$roofline using 1:2 with points pt 7 ps 1.2 lc '#2ca02c' title 'plan, by batch', "
            "'' using 1:2:3 with labels left offset 1,0 notitle\n",
            rate * 1e-12, lanes * 1e-12, rate * 1e-12, rate * 1e-9, lanes * 1e-12, lanes * 1e-12);
}

static void draw_sweep(FILE *f, const fa_plan *plans, const int32_t *batches, int n) {
    fputs("$sweep << EOD\n", f);
    for (int i = 0; i < n; i++)
        fprintf(f, "%d %.9g %.9g %.9g\n", batches[i], plans[i].decode_tokens_per_s, plans[i].sequence_tokens_per_s,
                plans[i].joules_per_token);
    fputs("EOD\n", f);
    fprintf(
        f,
        "set title 'Decoding, by batch'\nset logscale x 2\nset logscale y 10\nset xrange [%d:%d]\nset yrange [*:*]\n"
        "set key bottom left\nset xlabel 'sequences at a time'\nset ylabel 'tokens/s'\n"
        "set y2label 'J/token'\nset y2tics\nset logscale y2 10\n"
        "plot $sweep using 1:2 with linespoints pt 7 lw 2 lc '#1f77b4' title 'tokens/s, all', "
        "'' using 1:3 with linespoints pt 6 lw 2 lc '#2ca02c' title 'tokens/s, one sequence', "
        "'' using 1:4 axes x1y2 with linespoints pt 9 lw 2 dt 2 lc '#d62728' title 'J/token (right)'\n",
        batches[0], batches[n - 1] > batches[0] ? batches[n - 1] : 2 * batches[0]);
}

/* The batches to draw: powers of two up to the largest that was asked for, 256 at least, as far as they fit. */
static int sweep_batches(const cli_plan_options *o, fa_plan *plans, int32_t *batches) {
    fa_plan_request q = o->request;
    int32_t largest = 256;
    int n = 0;
    for (int i = 0; i < o->n_batches; i++) largest = o->batches[i] > largest ? o->batches[i] : largest;
    for (q.batch = 1; q.batch <= largest && n < CLI_PLAN_BATCHES; q.batch *= 2) {
        if (fa_plan_make(&plans[n], &q, NULL)) break;
        batches[n++] = q.batch;
    }
    return n;
}

fa_status cli_plot_plan(const char *path, const cli_plan_options *o, const fa_plan *plans, fa_error *e) {
    fa_plan swept[CLI_PLAN_BATCHES];
    int32_t batches[CLI_PLAN_BATCHES];
    int n = sweep_batches(o, swept, batches);
    const fa_plan *shown = n ? swept : plans; /* a batch of 1 may be what was not asked for, but then it fits too */
    plot p;
    fa_status s = plot_open(&p, path, 1300, 560, e);
    if (s) return s;
    fprintf(p.script, "set multiplot layout 1,2 title '%s on %d x %s, context %d' noenhanced\n", o->model,
            o->request.boards, o->board.title, o->request.context);
    draw_roofline(p.script, o, shown, n ? batches : o->batches, n ? n : o->n_batches);
    draw_sweep(p.script, shown, n ? batches : o->batches, n ? n : o->n_batches);
    fputs("unset multiplot\n", p.script);
    return plot_close(&p, path, e);
}

/* ---- a timeline ---- */

enum { LAYER_EVENTS = 64 };

typedef struct layer_events {
    int32_t layer;
    int n;
    struct {
        const char *name;
        double start, by[FA_LIMIT_COUNT];
    } event[LAYER_EVENTS];
} layer_events;

static void keep_event(void *ctx, const fa_plan_event *event) {
    layer_events *l = ctx;
    if (event->layer != l->layer || l->n == LAYER_EVENTS) return;
    l->event[l->n].name = event->name;
    l->event[l->n].start = event->start;
    memcpy(l->event[l->n].by, event->spent->by, sizeof event->spent->by);
    l->n++;
}

/* The order in which the parts of an op follow one another. */
static const fa_limit in_order[FA_LIMIT_COUNT] = {
    FA_LIMIT_LINK, FA_LIMIT_NETWORK, FA_LIMIT_HOST,      FA_LIMIT_FETCH,   FA_LIMIT_LAUNCH, FA_LIMIT_WEIGHTS,
    FA_LIMIT_IO,   FA_LIMIT_MATMUL,  FA_LIMIT_ATTENTION, FA_LIMIT_ROWWISE, FA_LIMIT_LATENCY};

static const char *const colours[FA_LIMIT_COUNT] = {
    [FA_LIMIT_LINK] = "#9467bd",    [FA_LIMIT_NETWORK] = "#c5b0d5", [FA_LIMIT_HOST] = "#8c564b",
    [FA_LIMIT_FETCH] = "#e377c2",   [FA_LIMIT_LAUNCH] = "#bcbd22",  [FA_LIMIT_WEIGHTS] = "#1f77b4",
    [FA_LIMIT_IO] = "#17becf",      [FA_LIMIT_MATMUL] = "#2ca02c",  [FA_LIMIT_ATTENTION] = "#d62728",
    [FA_LIMIT_ROWWISE] = "#ff7f0e", [FA_LIMIT_LATENCY] = "#7f7f7f",
};

/* Boxes of one kind of part, as a block of data; false when there is none. */
static bool write_boxes(FILE *f, const layer_events *l, int kind) {
    bool any = false;
    for (int i = 0; i < l->n; i++) {
        double start = l->event[i].start - l->event[0].start;
        for (int k = 0; k < kind; k++) start += l->event[i].by[in_order[k]];
        double seconds = l->event[i].by[in_order[kind]];
        if (seconds <= 0) continue;
        if (!any) fprintf(f, "$part%d << EOD\n", kind);
        any = true;
        fprintf(f, "%.9g %d %.9g %.9g %.3g %.3g\n", 1e6 * start, l->n - i, 1e6 * start, 1e6 * (start + seconds),
                l->n - i - 0.4, l->n - i + 0.4);
    }
    if (any) fputs("EOD\n", f);
    return any;
}

fa_status cli_plot_timeline(const char *path, const cli_plan_options *o, const fa_plan *plan, fa_error *e) {
    layer_events l = {.layer = fa_config_is_moe(&o->config, o->config.first_moe_layer) ? o->config.first_moe_layer : 0};
    bool any[FA_LIMIT_COUNT];
    plot p;
    fa_plan_walk(&o->request, plan, keep_event, &l);
    fa_status s = plot_open(&p, path, 1100, 120 + 24 * l.n, e);
    if (s) return s;
    FILE *f = p.script;
    for (int k = 0; k < FA_LIMIT_COUNT; k++) any[k] = write_boxes(f, &l, k);
    fprintf(f, "set title '%s, layer %d, %d row%s at a time, on %d x %s' noenhanced\nset xlabel 'microseconds'\n",
            o->model, l.layer, plan->group, plan->group == 1 ? "" : "s", plan->split.ways, o->board.title);
    fputs("set key outside right\nset style fill solid 1 noborder\nset yrange [0.4:*]\nset xrange [0:*]\nset ytics (",
          f);
    for (int i = 0; i < l.n; i++) fprintf(f, "%s\"%s\" %d", i ? ", " : "", l.event[i].name, l.n - i);
    fputs(") noenhanced\nplot ", f);
    bool first = true;
    for (int k = 0; k < FA_LIMIT_COUNT; k++) {
        if (!any[k]) continue;
        fprintf(f, "%s$part%d using 1:2:3:4:5:6 with boxxyerror lc '%s' title '%s'", first ? "" : ", ", k,
                colours[in_order[k]], fa_limit_name(in_order[k]));
        first = false;
    }
    fputc('\n', f);
    return plot_close(&p, path, e);
}

/* ---- an exploration ---- */

fa_status cli_plot_front(const char *path, const cli_plan_options *o, const fa_explored *x, fa_error *e) {
    plot p;
    fa_status s = plot_open(&p, path, 1000, 640, e);
    if (s) return s;
    FILE *f = p.script;
    for (int front = 0; front < 2; front++) {
        fprintf(f, "$%s << EOD\n", front ? "front" : "points");
        for (int64_t i = 0; i < x->n; i++) {
            const fa_point *t = &x->point[i];
            if (front && !t->front) continue;
            fprintf(f, "%.9g %.9g %.9g %d\n", t->plan.decode_tokens_per_s, t->plan.joules_per_token, t->plan.usd,
                    t->boards);
        }
        fputs("EOD\n", f);
    }
    fprintf(
        f,
        "set title '%s on %s: %lld possible of %lld' noenhanced\nset logscale xy\n"
        "set xlabel 'tokens/s, all sequences'\nset ylabel 'J/token'\nset cblabel 'price of the machines, $'\n"
        "set palette defined (0 '#440154', 1 '#31688e', 2 '#35b779', 3 '#fde725')\nset key top right\n"
        "plot $points using 1:2:3 with points pt 7 ps 0.6 palette title 'possible', "
        "$front using 1:2:3 with points pt 7 ps 1.6 palette notitle, "
        "$front using 1:2 with points pt 6 ps 1.9 lw 1.5 lc '#000000' title 'Pareto front: tokens/s, J/token, price'\n",
        o->model, o->board.title, (long long)x->n, (long long)x->tried);
    return plot_close(&p, path, e);
}

/* ---- requests ---- */

fa_status cli_plot_serve(const char *path, const cli_plan_options *o, const cli_serve_options *serve, fa_error *e) {
    plot p;
    fa_status s = plot_open(&p, path, 1300, 560, e);
    if (s) return s;
    FILE *f = p.script;
    fputs("$served << EOD\n", f);
    for (int i = 0; i < serve->n_rates; i++) {
        const fa_served *v = &serve->served[i];
        fprintf(f, "%.9g %.9g %.9g %.9g %.9g %.9g %.9g\n", serve->rates[i], v->output_tokens_per_s,
                v->good_tokens_per_s, v->first.p50, v->first.p99, v->token.p50, v->token.p99);
    }
    fprintf(
        f,
        "EOD\nset multiplot layout 1,2 title '%s on %d x %s, contexts to %d' noenhanced\nset logscale xy\n"
        "set xlabel 'requests/s that come'\nset key below\nset format xy '%%g'\nset ylabel 'tokens/s written'\n"
        "plot $served using 1:2 with linespoints pt 7 lw 2 lc '#1f77b4' title 'all', "
        "'' using 1:($3 > 0 ? $3 : NaN) with linespoints pt 6 lw 2 lc '#2ca02c' title 'of good answers'\n"
        "set ylabel 's'\nplot $served using 1:4 with linespoints pt 6 lw 2 lc '#d62728' title 'first token, half', "
        "'' using 1:5 with linespoints pt 7 lw 2 lc '#d62728' title 'first token, 99 of 100', "
        "'' using 1:6 with linespoints pt 6 lw 2 lc '#9467bd' title 'each further token, half', "
        "'' using 1:7 with linespoints pt 7 lw 2 lc '#9467bd' title 'each further token, 99 of 100'\nunset multiplot\n",
        o->model, o->request.boards, o->board.title, o->request.context);
    return plot_close(&p, path, e);
}
