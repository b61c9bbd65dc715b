# Turns the help of an argp program, one line a paragraph, into the source of a manual page for scdoc.
# -v name, version, summary. Options stand between the synopsis and the text behind them, which may have sections of its own: a line
# "Word:" alone, with lines indented by two blanks below.
function plain(s) { gsub(/[\\_*`#|<>\[\]~.-]/, "\\\\&", s); gsub(/ +$/, "", s); return s }
function heading(s) { literal(0); printf "\n# %s\n\n", toupper(s); empty = 0 }
function literal(on) { if (on != in_literal) print "```"; in_literal = on }
function option(line,    names, text, parts, n, i) {
    literal(0)
    if (!options++) heading("Options")
    sub(/^ +/, "", line)
    match(line, /^(-[A-Za-z?], )?--[a-z0-9-]+(\[?=[^ ]+)?/)
    names = substr(line, 1, RLENGTH)
    text = substr(line, RLENGTH + 1)
    sub(/^ +/, "", text)
    n = split(names, parts, ", ")
    for (i = 1; i <= n; i++) {
        split(parts[i], word, "=")
        printf "%s*%s*%s", (i > 1 ? ", " : ""), plain(word[1]), (word[2] == "" ? "" : "=_" plain(word[2]) "_")
    }
    printf "\n\t%s\n\n", plain(text)
}
BEGIN {
    printf "%s(1) \"\" \"fathom %s\"\n\n# NAME\n\n%s - %s\n", name, version, plain(name), plain(summary)
}
NR == 1 || (!described && /^ +or: /) {
    if (NR == 1) heading("Synopsis")
    sub(/^Usage: /, ""); sub(/^ +or: +/, "")
    printf "%s\n\n", plain($0)
    next
}
!described { heading("Description"); described = 1 }
/^ +-[-A-Za-z?]/ && !after { option($0); next }
/^ [A-Z].*:$/ && !after { sub(/^ /, ""); sub(/:$/, ""); if (!options++) heading("Options"); printf "## %s\n\n", plain($0); next }
options && /^[^ ]/ { if (!after && !/:$/) heading("Notes"); after = 1 }
/^[A-Z][a-z ]*:$/ { sub(/:$/, ""); heading($0); next }
/^Exit status: / { heading("Exit status"); sub(/^Exit status: /, "") }
/^$/ { literal(0); print; next }
/^ / { literal(1); sub(/^  /, ""); print; next }
{ literal(0); printf "%s\n\n", plain($0) }
END {
    heading("See also")
    if (name == "fathom") print "The pages *fathom-COMMAND*(1), as *fathom-run*(1)"
    else print "*fathom*(1)"
}
