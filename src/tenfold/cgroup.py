"""Limits that Linux control groups (containers, services, batch jobs) put on this process.

Both versions are read: version 2 has one tree of groups, version 1 one tree for each controller.
A limit on any group above this process holds, so each function looks at all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path


def core_quota(root: Path = Path("/")) -> float:
    """Cores' worth of time that this process may use; infinite where nothing limits it.

    Args:
        root: where ``proc`` and ``sys`` are mounted.
    """
    cores = math.inf
    for folder in _groups("cpu", root):
        quota, period = (_read(folder / "cpu.max") or "max 100000").split()
        if quota == "max":
            quota = _read(folder / "cpu.cfs_quota_us") or "-1"
            period = _read(folder / "cpu.cfs_period_us") or "100000"
        if int(quota) > 0:
            cores = min(cores, int(quota) / int(period))
    return cores


def memory_limits(root: Path = Path("/")) -> Iterator[tuple[int, int]]:
    """For each limited group: the limit, and what is in use and is not mere file cache, in bytes.

    Args:
        root: where ``proc`` and ``sys`` are mounted.
    """
    for folder in _groups("memory", root):
        for limit_file, used_file, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            limit = _read(folder / limit_file)
            if limit is None or limit == "max":
                continue
            lines = (_read(folder / "memory.stat") or "").splitlines()
            statistics = dict(line.split(maxsplit=1) for line in lines)
            used = int(_read(folder / used_file) or 0) - int(statistics.get(cache, 0))
            yield int(limit), max(0, used)


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of the groups that this process is in, innermost first.

    In a container the path may be the host's, and so not exist here; the top folder of the mount
    is then the container's own group.
    """
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            mount = root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            mount = root / "sys/fs/cgroup" / controller
        else:
            continue
        inner = mount / group.lstrip("/")
        for folder in (inner, *inner.parents):
            yield folder
            if folder == mount:
                break


def _read(path: Path) -> str | None:
    """The text of a small file; None where it is absent, or not for us to read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return None
