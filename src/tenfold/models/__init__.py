"""The networks: one architecture a file, and the registry that builds them by name."""

from tenfold.models.registry import (
    architectures,
    build_network,
    check_section,
    layers_of_interest,
)

__all__ = ["architectures", "build_network", "check_section", "layers_of_interest"]
