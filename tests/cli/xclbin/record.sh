#!/bin/sh
# tests/cli/xclbin/record.sh: writes anew what `make -n xclbin` says for the boards and targets below, which tests/cli/test_make_xclbin.c
# holds it to. For when the commands are meant to change; read the difference before it is committed.
cd "$(dirname "$0")/../../.." || exit 2
for image in u280-hw u280-hw_emu vck5000-hw f2-hw; do
    make --no-print-directory -n xclbin BOARD="${image%%-*}" TARGET="${image#*-}" | grep -v -e '^command -v' -e '^  "the platform' \
        >"tests/cli/xclbin/$image.txt" || exit 1
done
