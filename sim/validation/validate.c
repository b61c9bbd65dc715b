/* validate-sim [PICTURE.svg|.png]: predicts the published results from their configurations and prints the table of
 * docs/simulator.md. Fails when a number is not in published.csv, or when the goal is missed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/validation/designs.h"

static const double goal_mean = 0.15, goal_row = 0.35;
static const char published[] = "sim/validation/published.csv";

static double ratio_of(const fa_design *d, fa_spent *spent) {
    fa_design_predict(d, spent);
    return 1 / spent->seconds / d->published;
}

static fa_limit largest(const fa_spent *s) {
    fa_limit l = FA_LIMIT_WEIGHTS;
    for (int i = 1; i < FA_LIMIT_COUNT; i++)
        if (s->by[i] > s->by[l]) l = (fa_limit)i;
    return l;
}

/* How far off as a factor, less 1: 0.25 for 1.25 and for 0.8. */
static double error_of(double ratio) {
    return fmax(ratio, 1 / ratio) - 1;
}

static int print_rows(double *mean, double *worst) {
    int counted = 0;
    double sum = 0;
    *worst = 0;
    printf(
        "| row | design | published | predicted | ratio | waits most for | assumed |\n|---|---|---|---|---|---|---|\n");
    for (int i = 0; fa_design_at(i); i++) {
        const fa_design *d = fa_design_at(i);
        fa_spent spent;
        double ratio = ratio_of(d, &spent);
        fa_limit limit = largest(&spent);
        char *row = fa_published_row(published, d->row);
        bool stands = row && strstr(row, d->text);
        free(row);
        if (!stands) {
            fprintf(stderr, "%s: row %s lacks \"%s\"\n", published, d->row, d->text);
            return -1;
        }
        printf("| %s | %s, %s | %.1f | %.1f | %.2f | %s (%.0f %%) | %s%s%s%s |\n", d->row, d->name, d->shape->name,
               d->published, 1 / spent.seconds, ratio, fa_limit_name(limit), 100 * spent.by[limit] / spent.seconds,
               d->not_counted ? "**not counted:** " : "", d->not_counted ? d->not_counted : "",
               d->not_counted ? "; " : "", d->assumed);
        if (d->not_counted) continue;
        sum += log1p(error_of(ratio));
        *worst = fmax(*worst, error_of(ratio));
        counted++;
    }
    *mean = expm1(sum / counted);
    return counted;
}

/* A point with its label right below it, left above where the prediction is too high, left below where the right is taken by the point
 * before. */
static void write_point(FILE *f, const fa_design *d, const fa_design *before) {
    enum { RIGHT = 0, ABOVE, BELOW, PLACES };
    fa_spent spent;
    double ratio = ratio_of(d, &spent);
    bool crowded = before && before->published >= d->published && before->published < 1.15 * d->published;
    int place = crowded ? BELOW : ratio >= 1 ? ABOVE : RIGHT;
    fprintf(f, "%.6g %.6g", d->published, ratio * d->published);
    for (int i = 0; i < PLACES; i++) fprintf(f, " \"%s\"", i == place ? d->row : "");
    fputc('\n', f);
}

/* Published against predicted, both axes logarithmic. */
static int draw(const char *path) {
    const char *dot = strrchr(path, '.');
    FILE *f = popen("gnuplot", "w");
    if (!f) return -1;
    fprintf(f, "set terminal %s size 760,620\nset output '%s'\n",
            dot && !strcmp(dot, ".svg") ? "svg background '#ffffff' font 'sans,13'" : "pngcairo font 'sans,11'", path);
    for (int counted = 1; counted >= 0; counted--) {
        fprintf(f, "$%s << EOD\n", counted ? "counted" : "others");
        for (int i = 0; fa_design_at(i); i++)
            if (counted == !fa_design_at(i)->not_counted) write_point(f, fa_design_at(i), fa_design_at(i - 1));
        fputs("EOD\n", f);
    }
    fputs(
        "set logscale xy\nset grid lc '#dddddd'\nset key top left\nset xrange [3:700]\nset yrange [3:900]\n"
        "set xlabel 'published tokens/s'\nset ylabel 'predicted tokens/s'\n"
        "plot x with lines lc '#444444' title 'equal', 1.35*x with lines dt 2 lc '#aaaaaa' title '35 % off', "
        "x/1.35 with lines dt 2 lc '#aaaaaa' notitle, "
        "$counted using 1:2 with points pt 7 ps 1.2 lc '#1f77b4' title 'counted', "
        "'' using 1:2:3 with labels left offset 0.8,-0.5 notitle, '' using 1:2:4 with labels right offset -0.8,0.5 notitle, '' using 1:2:5 with labels right offset -0.8,-0.5 notitle, "
        "$others using 1:2 with points pt 6 ps 1.2 lc '#d62728' title 'not counted', "
        "'' using 1:2:3 with labels left offset 0.8,-0.5 notitle, '' using 1:2:4 with labels right offset -0.8,0.5 notitle, '' using 1:2:5 with labels right offset -0.8,-0.5 notitle\n",
        f);
    return pclose(f);
}

int main(int argc, char **argv) {
    double mean, worst;
    int counted = print_rows(&mean, &worst);
    if (counted < 0) return 1;
    bool reached = mean <= goal_mean && worst <= goal_row;
    printf("\n%d rows counted. Geometric mean error %.1f %% (goal %.0f %%), largest %.1f %% (goal %.0f %%): %s.\n",
           counted, 100 * mean, 100 * goal_mean, 100 * worst, 100 * goal_row, reached ? "reached" : "missed");
    if (argc > 1 && draw(argv[1])) {
        fprintf(stderr, "%s: gnuplot failed or is missing (Debian: gnuplot-nox)\n", argv[1]);
        return 1;
    }
    return reached ? 0 : 1;
}
