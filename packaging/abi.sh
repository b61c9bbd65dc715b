#!/bin/sh
# packaging/abi.sh HEADER LIBRARY: what programs rely on that were built with HEADER: the functions of LIBRARY with their versions and prototypes,
# the place and size of every field, the value of every constant; a line each, sorted. packaging/libfathom.abi keeps those of the last release:
# lines may be added to it, none may change or go while the SONAME stays.
set -eu
header=$(realpath "$1") library=$2
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

structures=$(sed -n 's/^typedef struct \(fathom_[a-z]*\) {.*/\1/p' "$header")
enums=$(sed -n 's/^typedef enum \(fathom_[a-z]*\) {.*/\1/p' "$header")
{
    echo "#include \"$header\""
    for s in $structures; do echo "struct $s ${s}_;"; done
    for e in $enums; do echo "enum $e ${e}_;"; done
} >"$folder/all.c"
gcc -g -c -o "$folder/all.o" "$folder/all.c"

{
    nm -D --defined-only "$library" | sed -n 's/.* T /version /p'
    # a prototype a line, without its blanks at line ends
    sed 's,/\*.*\*/,,' "$header" | awk '/^FATHOM_API/ { on = 1 } on { line = line " " $0 } /;/ && on { gsub(/ +/, " ", line); print "prototype" line; line = ""; on = 0 }'
    for s in $structures; do
        pahole -C "$s" "$folder/all.o" | awk -v s="$s" '/;[ \t]*\/\*/ {
            place = $0; sub(/.*\/\*/, "", place); sub(/\*\/.*/, "", place); sub(/;.*/, "")
            gsub(/[ \t]+/, " "); split(place, at, " "); print "field " s ":" $0 " at " at[1] " bytes " at[2] }'
    done
    for e in $enums; do pahole -C "$e" "$folder/all.o" | sed -n 's/^[ \t]*\(FATHOM_[A-Z_]*\) *= *\([0-9-]*\).*/constant \1 = \2/p'; done
} | LC_ALL=C sort
