"""Whether the packages that are installed fit each other, as their own metadata say."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def versions(root: str = "tenfold") -> dict[str, str]:
    """Versions of a package and of those that it names as its own requirements, where installed."""
    names = [root, *(requirement.name for requirement in _requirements(root))]
    return {name: version for name in names if (version := _version(name)) is not None}


def misfits(root: str = "tenfold") -> Iterator[str]:
    """What is missing or too old or too new, in words, for a package and all that it requires."""
    seen, waiting = set[str](), [root]
    while waiting:
        name = waiting.pop()
        if canonicalize_name(name) in seen:
            continue
        seen.add(canonicalize_name(name))
        for requirement in _requirements(name):
            version = _version(requirement.name)
            if version is None:
                yield f"{requirement.name} is not installed, which {name} needs"
            elif not requirement.specifier.contains(version, prereleases=True):
                yield (
                    f"{requirement.name} is {version}, and {name} needs "
                    f"{requirement.name}{requirement.specifier}"
                )
            else:
                waiting.append(requirement.name)


def _requirements(name: str) -> Iterator[Requirement]:
    """What an installed package requires on this system, extras left out."""
    for text in metadata.requires(name) or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
