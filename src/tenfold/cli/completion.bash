# Completion of tenfold for bash: see _shells.py for what is asked and answered.
#
# bash splits words at = and :, and replaces only the last part: hence the line, not the words.
# Its own completion of paths (-o default) quotes; it acts where there is no other answer.

_tenfold_completion() {
    local line paths=
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :files) paths=-f ;;
            :folders) paths=-d ;;
            *=) compopt -o nospace; COMPREPLY+=("$line") ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done < <(_TENFOLD_COMPLETE=bash "${1/#\~\//$HOME/}" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    if [ -n "$paths" ]; then
        if [ ${#COMPREPLY[@]} -eq 0 ] && [ "$paths" = -f ]; then
            compopt -o default
        else
            compopt -o filenames
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen "$paths" -- "$2")
        fi
    fi
}
complete -F _tenfold_completion tenfold
