# completion.bash FATHOM WORD...: what bash offers for the last word of a line.
. /usr/share/bash-completion/bash_completion
. packaging/completion/fathom.bash
compopt() { :; } # bash has it only while a person completes
fathom=$1
shift
COMP_WORDS=("$fathom" "$@")
COMP_CWORD=$#
COMP_LINE="${COMP_WORDS[*]}"
COMP_POINT=${#COMP_LINE}
_fathom "$fathom"
printf '%s\n' "${COMPREPLY[@]}"
