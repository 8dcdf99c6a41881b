"""How figures read on a page; offered to templates as filters."""

from __future__ import annotations

import math


def count(number: int) -> str:
    """As in 1,500."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """As in 1 epoch, 1,500 steps."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def percent(share: float, digits: int = 1) -> str:
    """A share as in 92.8%; an em dash where it is not a number."""
    return f"{share:.{digits}%}" if math.isfinite(share) else "—"


def seconds(duration: float) -> str:
    """A duration as in 15.6 s, 14 min, 3 h 5 min; an em dash where it is not a number."""
    if not math.isfinite(duration):
        return "—"
    if duration < 59.95:
        return f"{duration:.1f} s"
    minutes = round(duration / 60)
    if duration < 600:
        return f"{int(duration + 0.5) // 60} min {int(duration + 0.5) % 60} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(amount: float) -> str:
    """Bytes as in 804 MB, 25.3 GB."""
    return f"{amount / 1e6:,.0f} MB" if amount < 9999.5e6 else f"{amount / 1e9:,.1f} GB"
