"""Feed hostile files to every reader; docs/hostile-input.md has the results.

python tests/fuzz/run.py --inputs 500000
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from tests.fuzz.campaign import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
