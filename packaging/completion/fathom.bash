# Completion of fathom for bash (package bash-completion). Commands and options are read from --help.
_fathom() {
    local cur prev words cword split
    _init_completion -s || return
    local i command=
    for ((i = 1; i < cword; i++)); do
        [[ ${words[i]} == -* ]] || { command=${words[i]}; break; }
    done
    if [[ ! $command ]]; then
        local commands
        commands=$("$1" --help 2>/dev/null | awk '/^Commands:/ { on = 1; next } on && NF == 0 { exit } on { print $1 }')
        COMPREPLY=($(compgen -W "$commands --help --version" -- "$cur"))
        return
    fi
    case $prev in
        --backend) COMPREPLY=($(compgen -W "auto cpu opencl sim xrt:emu reference" -- "$cur")) ;;
        --board) COMPREPLY=($(compgen -W "$("$1" boards 2>/dev/null | awk 'NR > 1 && NF { print $1 }')" -- "$cur") $(compgen -f -- "$cur")) ;;
        --cache) COMPREPLY=($(compgen -W "auto f32 bf16 fp8" -- "$cur")) ;;
        --numerics) COMPREPLY=($(compgen -W "auto w8a8 w8a16" -- "$cur")) ;;
        *)
            if [[ $cur == -* && $split == false ]]; then
                COMPREPLY=($(compgen -W "$("$1" "$command" --help 2>/dev/null | _parse_help -)" -- "$cur"))
                [[ ${COMPREPLY-} == *= ]] && compopt -o nospace
            else
                _filedir
            fi
            ;;
    esac
} && complete -F _fathom fathom
