/* Random numbers by counter: number n of a seed is a function of both, so an answer can be replayed from anywhere, on any
 * machine. Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011). */
#ifndef FA_ENGINE_RANDOM_H
#define FA_ENGINE_RANDOM_H

#include <stdint.h>

/* One block: out[4] of counter[4] under key[2]. */
void fa_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Number `n` of `seed`, uniform over 64 bits. */
uint64_t fa_random(uint64_t seed, uint64_t n);

#endif
