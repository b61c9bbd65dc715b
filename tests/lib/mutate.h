/* Damage to files, the same on every run: for tests that a wrong file gives an error and nothing worse. */
#ifndef FA_TESTS_MUTATE_H
#define FA_TESTS_MUTATE_H

#include "tests/lib/check.h"
#include "tests/lib/files.h"

/* A damaged copy of data [n]: flipped bits, a cut end, other lengths and numbers, pieces doubled, deleted or moved. Most of the damage falls
 * into the first `head` bytes, where a file says what it holds. `seed` chooses which; free(result.data). */
check_bytes check_mutate(const uint8_t *data, size_t n, size_t head, uint64_t seed);

/* The same for the meaning of a JSON text, whose syntax stays right: a value somewhere in it is replaced, deleted, renamed or
 * exchanged with a neighbour. */
check_bytes check_mutate_json(const uint8_t *text, size_t n, uint64_t seed);

#endif
