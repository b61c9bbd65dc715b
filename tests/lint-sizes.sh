#!/bin/sh
# tests/lint-sizes.sh [ROOT]: fails when a source file is longer than 600 lines or a function longer than 60.
cd "${1:-.}" || exit 2
find host quant hls sim boards tests -name '*.[ch]' 2>/dev/null | grep -v '^tests/fixtures/' | sort | xargs -r awk '
function file_end() {
    if (name != "" && lines > 600) { printf "%s: %d lines (at most 600)\n", name, lines; wrong = 1 }
}
FNR == 1 { file_end(); name = FILENAME; head = "" }
{ lines = FNR }
/^[A-Za-z_].*\(/ && !/;$/ { head = $0; start = FNR } # a definition starts at the margin
/^}/ {
    if (head != "" && FNR - start + 1 > 60) {
        printf "%s:%d: %d lines (at most 60): %s\n", FILENAME, start, FNR - start + 1, head
        wrong = 1
    }
    head = ""
}
END { file_end(); exit wrong }' || exit 1
