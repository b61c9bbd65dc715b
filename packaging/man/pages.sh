#!/bin/sh
# packaging/man/pages.sh FATHOM VERSION FOLDER: writes the manual pages of the program, fathom.1 and a fathom-COMMAND.1 for each command, from what its
# --help says, so that they cannot disagree with it.
set -eu
fathom=$1 version=$2 folder=$3
here=$(dirname "$0")
mkdir -p "$folder"
# one line a paragraph: argp shall not wrap
export ARGP_HELP_FMT=rmargin=9999,no-dup-args-note

commands=$("$fathom" --help | awk '/^Commands:/ { on = 1; next } on && NF == 0 { exit } on { print $1 }')
[ -n "$commands" ] || { echo "$fathom --help lists no commands" >&2; exit 1; }

page() { # NAME SUMMARY COMMAND...
    name=$1 summary=$2
    shift 2
    "$@" --help >"$folder/$name.help"
    awk -v name="$name" -v version="$version" -v summary="$summary" -f "$here/scdoc.awk" "$folder/$name.help" >"$folder/$name.1.scd"
    scdoc <"$folder/$name.1.scd" >"$folder/$name.1.new"
    mv "$folder/$name.1.new" "$folder/$name.1"
    rm "$folder/$name.help" "$folder/$name.1.scd"
}

page fathom "inference for DeepSeek-family models" "$fathom"
for c in $commands; do
    summary=$("$fathom" --help | awk -v c="$c" '/^Commands:/ { on = 1 } on && $1 == c { sub(/^ *[^ ]+ +/, ""); print; exit }')
    page "fathom-$c" "$summary" "$fathom" "$c"
done
