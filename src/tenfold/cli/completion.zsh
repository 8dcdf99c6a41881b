# Completion of tenfold for zsh: see _shells.py for what is asked and answered.

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
_tenfold_completion() {
    local line word meaning paths
    local -a whole open
    local program=${${(Q)words[1]}/#\~\//$HOME/}
    while IFS= read -r line; do
        case $line in
            :files|:folders) paths=$line ;;
            *)
                word=${line%%$'\t'*}
                meaning=${line#*$'\t'}
                line=${word//:/\\:}${meaning:+:$meaning}
                if [[ $word == *= ]]; then open+=("$line"); else whole+=("$line"); fi ;;
        esac
    done < <(_TENFOLD_COMPLETE=zsh "$program" "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( $#whole )) && _describe -V tenfold whole
    (( $#open )) && _describe -V tenfold open -S ''
    if [[ -n $paths ]]; then
        compset -P '*='
        if [[ $paths == :files ]]; then _files; else _files -/; fi
    fi
}
compdef _tenfold_completion tenfold
