#include "host/cli/statistics.h"

#include <math.h>
#include <stdlib.h>

#define Z95 1.959963984540054 /* a normal distribution has 95 % within so many deviations */
enum { RESAMPLES = 2000, BLOCK = 64 };

cli_interval cli_wilson(double share, double n) {
    double z2 = Z95 * Z95, centre = (share + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z95 / (1 + z2 / n) * sqrt(share * (1 - share) / n + z2 / (4 * n * n));
    return (cli_interval){fmax(0, centre - half), fmin(1, centre + half)};
}

double cli_mean(const double *values, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    return sum / (double)n;
}

/* splitmix64 */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static int rising(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

cli_interval cli_bootstrap(const double *values, int64_t n) {
    double means[RESAMPLES];
    uint64_t state = 1;
    for (int r = 0; r < RESAMPLES; r++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += values[draw(&state) % (uint64_t)n];
        means[r] = sum / (double)n;
    }
    qsort(means, RESAMPLES, sizeof *means, rising);
    return (cli_interval){means[RESAMPLES / 40], means[RESAMPLES - 1 - RESAMPLES / 40]};
}

cli_interval cli_bootstrap_blocks(const double *values, int64_t n) {
    int64_t blocks = n / BLOCK;
    double *means = blocks ? malloc((size_t)blocks * sizeof *means) : NULL, mean = cli_mean(values, n);
    if (!means) return (cli_interval){mean, mean};
    for (int64_t b = 0; b < blocks; b++) means[b] = cli_mean(values + b * BLOCK, BLOCK);
    cli_interval of = cli_bootstrap(means, blocks);
    free(means);
    return of;
}

double cli_pass_at(int64_t n, int64_t c, int64_t k) {
    double none = 1;
    for (int64_t i = n - c + 1; i <= n; i++) none *= i <= k ? 0 : 1 - (double)k / (double)i;
    return 1 - none;
}
