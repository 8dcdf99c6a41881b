# Completion of tenfold for fish: see _shells.py for what is asked and answered.

function __tenfold_completion
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in (_TENFOLD_COMPLETE=fish $words[1] $words[2..] "$current" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path "$current"
            case :folders
                __fish_complete_directories "$current"
            case '*'
                printf '%s\n' $line
        end
    end
end
complete --command tenfold --no-files --keep-order --arguments '(__tenfold_completion)'
