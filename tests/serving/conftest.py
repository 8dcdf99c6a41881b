"""What several tests of serving share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="session")
def small() -> Any:
    """Network 1 for pictures of 6x6, a Keras model, and its facts."""
    from .networks import facts_of, network_of

    return network_of(6, name="lab-1"), facts_of(6)
