"""``python -m tenfold`` is the command line."""

from tenfold.cli import main

main()
