"""Pictures that a source holds more than once: equal in every pixel, or copies that were changed.

A picture that is in training and in the test at once makes the test result look better than the
model is. `find_duplicates` finds such pictures once for each store and keeps what it found beside
it; `known_duplicates` says what is known without looking.
"""

from __future__ import annotations

from tenfold.data.duplicates.found import Duplicates, find_duplicates, known_duplicates

__all__ = ["Duplicates", "find_duplicates", "known_duplicates"]
