# completion.zsh FOLDER LINE EXPECTED: what zsh shows when a person types LINE and Tab twice, until EXPECTED was seen; FOLDER has the program.
zmodload zsh/zpty
read_until() { # text, seconds
    local out= part end=$((SECONDS + $2))
    while ((SECONDS < end)) && [[ $out != *$1* ]]; do
        zpty -rt z part && out+=$part || sleep 0.1
    done
    print -rn -- $out
}
zpty z zsh -f -i
zpty -w z "PS1='READ''Y> '; PATH=$1:\$PATH; fpath=(packaging/completion \$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=1000; stty columns 200 rows 100"
read_until 'READY> ' 20 >/dev/null
zpty -n -w z "$2"$'\t\t'
read_until $3 20
zpty -d z
