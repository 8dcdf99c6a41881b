"""Limits are read from trees of files made as the kernel makes them, for both versions."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tenfold import cgroup

GIB = 2**30


def make(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_no_control_groups_means_no_limits(tmp_path: Path) -> None:
    assert cgroup.core_quota(tmp_path) == math.inf
    assert list(cgroup.memory_limits(tmp_path)) == []


def test_version_2_with_every_group_above(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            "proc/self/cgroup": "0::/batch.slice/job\n",
            "sys/fs/cgroup/batch.slice/job/cpu.max": "max 100000\n",
            "sys/fs/cgroup/batch.slice/job/memory.max": "max\n",
            "sys/fs/cgroup/batch.slice/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/batch.slice/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/batch.slice/memory.current": f"{3 * GIB}\n",
            "sys/fs/cgroup/batch.slice/memory.stat": f"anon 5\ninactive_file {2 * GIB}\n",
        },
    )
    assert cgroup.core_quota(tmp_path) == 1.5
    assert list(cgroup.memory_limits(tmp_path)) == [(4 * GIB, GIB)]


def test_version_1_with_a_tree_for_each_controller(tmp_path: Path) -> None:
    make(
        tmp_path,
        {
            "proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/\n0::/\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{GIB}\n",
            "sys/fs/cgroup/memory/job/memory.usage_in_bytes": f"{GIB // 2}\n",
            "sys/fs/cgroup/memory/job/memory.stat": f"total_inactive_file {GIB // 4}\n",
        },
    )
    assert cgroup.core_quota(tmp_path) == 2.0
    assert list(cgroup.memory_limits(tmp_path)) == [(GIB, GIB // 4)]


@pytest.mark.parametrize("path", ["/docker/3f2a", "/../../init"])
def test_a_container_that_sees_the_hosts_path_reads_its_own_group(
    tmp_path: Path, path: str
) -> None:
    make(
        tmp_path,
        {"proc/self/cgroup": f"0::{path}\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
    )
    assert cgroup.core_quota(tmp_path) == 0.5
