"""The networks: one architecture a file, and the registry that builds them by name."""

from tenfold.models.airbench import STEM
from tenfold.models.registry import (
    architectures,
    build_network,
    check_section,
    check_small_size,
    layers_of_interest,
)
from tenfold.models.whitening import whiten

__all__ = [
    "STEM",
    "architectures",
    "build_network",
    "check_section",
    "check_small_size",
    "layers_of_interest",
    "whiten",
]
