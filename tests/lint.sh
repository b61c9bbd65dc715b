#!/bin/sh
# tests/lint.sh: every check of the sources that does not run them; shows what each finds and fails when one found something.
cd "$(dirname "$0")/.." || exit 2
sources=$(git ls-files '*.[ch]' | grep -v '^tests/fixtures/')
product=$(echo "$sources" | grep '\.c$' | grep -v '^tests/')
wrong=0 # the analysers see the product alone: they cannot know that a failed CHECK leaves its case

check() {
    echo "lint: $1"
    shift
    "$@" || wrong=1
}

# shellcheck disable=SC2086
run_clang_format() { clang-format --dry-run -Werror $sources; }

run_cppcheck() {
    # shellcheck disable=SC2086
    cppcheck --quiet --error-exitcode=1 --inline-suppr --suppressions-list=.ci/cppcheck.txt -j "$(nproc)" --std=c11 \
        --enable=warning,performance,portability -I. -D_GNU_SOURCE -DFATHOM_VERSION='"lint"' -D__x86_64__ $product
}

# not the kernels, which are written in GCC's vector extensions or have buffers that start undefined (hls/lint is theirs); not the file that defines what analyser.h explains
run_clang_tidy() {
    echo "$product" | grep -v -e '^host/backend/cpu/kernels' -e '^host/base/status.c' \
        -e '^hls/\(matmul\|mla\|gqa\|rowwise\|table\)\.c' | xargs -P "$(nproc)" -n 4 sh -c '
        clang-tidy --quiet "$@" -- -I. -isystem /usr/include/xrt $(pkg-config --cflags-only-I ompi-c | sed "s/-I/-isystem /g") -D_GNU_SOURCE -DFATHOM_VERSION=\"lint\" -std=gnu11 -fopenmp \
            -include tests/lib/analyser.h 2>/dev/null' sh
}

run_verilator() {
    verilator --lint-only -Wall -Wno-UNUSEDSIGNAL --top-module bench tests/rtl/bench.v hls/rtl/*.v
}

# the kernels as small and as large as a board builds them
run_hls_lint() {
    hls/lint/lint.py && hls/lint/lint.py -DHLS_PORTS=1 -DHLS_PORT_BYTES=32 -DHLS_ROWS=1 -DHLS_LANES_FP32=16 &&
        hls/lint/lint.py -DHLS_PORTS=16 -DHLS_ROWS=8 -DHLS_LANES_FP32=128
}

check "include directions" tests/lint-includes.sh
check "sizes" tests/lint-sizes.sh
check "clang-format" run_clang_format
check "cppcheck" run_cppcheck
check "clang-tidy" run_clang_tidy
check "verilator" run_verilator
check "kernels" run_hls_lint
exit $wrong
