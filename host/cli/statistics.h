/* How sure a measured share or mean is. */
#ifndef FA_CLI_STATISTICS_H
#define FA_CLI_STATISTICS_H

#include <stdint.h>

typedef struct cli_interval {
    double low, high; /* 95 % */
} cli_interval;

/* Of a share among n independent trials: Wilson's interval (E. B. Wilson, JASA 22, 1927). */
cli_interval cli_wilson(double share, double n);

/* Of the mean of n independent values: percentile bootstrap (B. Efron, Annals of Statistics 7, 1979), 2,000 resamples from a fixed
 * seed, so the same values give the same bounds. The mean itself where n is 1. */
cli_interval cli_bootstrap(const double *values, int64_t n);

/* Of the mean of values that follow one another, such as those of a text's tokens: the same over blocks of 64 neighbours, because
 * neighbours are not independent; values behind the last whole block are left out. The mean itself where there is no whole block. */
cli_interval cli_bootstrap_blocks(const double *values, int64_t n);

double cli_mean(const double *values, int64_t n);

/* The probability that k answers to a question hold a right one, estimated without bias from n >= k answers of which c are right:
 * 1 - C(n - c, k) / C(n, k) (M. Chen et al., arXiv 2107.03374, section 2.1). */
double cli_pass_at(int64_t n, int64_t c, int64_t k);

#endif
