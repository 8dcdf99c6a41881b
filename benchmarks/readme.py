"""Put the measured tables into README and docs.

    python benchmarks/readme.py

What stands between ``<!-- results/NAME.md -->`` and ``<!-- end -->`` becomes that file's text. A
test checks that the pages show what was measured.
"""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
PAGES = [FOLDER.parent / "README.md", *sorted((FOLDER.parent / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"(<!-- (results/\w+\.md) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """A text with each block replaced by the file that it names."""
    return _BLOCK.sub(
        lambda found: found[1] + (FOLDER / found[2]).read_text(encoding="utf-8") + found[3], text
    )


def main() -> None:
    """Rewrite the pages."""
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
