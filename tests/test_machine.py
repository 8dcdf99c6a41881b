"""What is said of this computer agrees with other ways to ask it."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import psutil
import pytest

from tenfold import cgroup, machine
from tenfold.machine import Machine, describe, peak_memory, preferred_precision, versions

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's own files")

ZEN_3 = """\
processor\t: 0
model name\t: AMD Ryzen 7 5800U
flags\t\t: fpu sse2 avx avx2 fma

processor\t: 1
model name\t: something else
flags\t\t: fpu
"""
SAPPHIRE_RAPIDS = """\
model name\t: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
flags\t\t: avx2 avx512f avx512_bf16 amx_bf16 avx512_fp16 amx_tile amx_int8
"""
GRAVITON_3 = """\
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm aes sve i8mm bf16
CPU implementer\t: 0x41
"""


def a_machine(**facts: object) -> Machine:
    return dataclasses.replace(
        describe(), **{"system": "Linux-6", "architecture": "x86_64", **facts}
    )


def test_this_computer_is_described() -> None:
    here = describe()
    assert 1 <= here.cores <= here.cores_total == psutil.cpu_count()
    assert 0 < here.memory_available <= here.memory_total <= psutil.virtual_memory().total
    assert here.cpu
    assert here.python == ".".join(map(str, sys.version_info[:3]))
    assert json.loads(json.dumps(dataclasses.asdict(here)))["cores"] == here.cores


@ON_LINUX
def test_affinity_limits_the_cores() -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    program = (
        "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]);"
        "from tenfold.machine import describe; print(describe().cores)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(done.stdout) == 1


@pytest.mark.parametrize(("quota", "cores"), [(0.2, 1), (1.5, 2), (math.inf, 8)])
def test_a_quota_limits_the_cores(
    monkeypatch: pytest.MonkeyPatch, quota: float, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cgroup, "core_quota", lambda: quota)
    assert describe().cores == cores


def test_a_container_limits_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [(2**62, 0), (4_000_000, 3_000_000), (9_000_000, 20_000_000)]
    monkeypatch.setattr(cgroup, "memory_limits", lambda: iter(limits))
    here = describe()
    assert (here.memory_total, here.memory_available) == (4_000_000, 0)


@pytest.mark.parametrize(
    ("cpuinfo", "name", "sets"),
    [
        (ZEN_3, "AMD Ryzen 7 5800U", ("avx2",)),
        (
            SAPPHIRE_RAPIDS,
            "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz",
            ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16"),
        ),
        (GRAVITON_3, machine.platform.machine(), ("asimd", "bf16", "i8mm", "sve")),
    ],
)
def test_instruction_sets_are_read_from_linux(
    cpuinfo: str, name: str, sets: tuple[str, ...]
) -> None:
    assert machine._parse_cpuinfo(cpuinfo) == (name, sets)


def test_instruction_sets_are_asked_of_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        "machdep.cpu.brand_string": "Apple M3",
        "hw.optional.AdvSIMD": "1",
        "hw.optional.arm.FEAT_BF16": "1",
        "hw.optional.arm.FEAT_I8MM": "0",
    }
    monkeypatch.setattr(machine.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(machine, "_sysctl", lambda name: answers.get(name, ""))
    here = describe()
    assert (here.cpu, here.instruction_sets) == ("Apple M3", ("asimd", "bf16"))


def test_windows_says_nothing_of_instruction_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.platform, "system", lambda: "Windows")
    assert describe().instruction_sets == ()


@pytest.mark.parametrize(
    ("facts", "precision", "reason"),
    [
        ({"instruction_sets": ("avx2", "avx512f")}, "float32", "emulate"),
        ({"instruction_sets": ("avx512f", "avx512_bf16")}, "bf16", "avx512_bf16"),
        ({"instruction_sets": ("avx512_bf16", "amx_tile", "amx_bf16")}, "bf16", "amx_bf16"),
        ({"instruction_sets": ("amx_bf16",), "system": "Windows-11"}, "float32", "Linux only"),
        ({"instruction_sets": ("bf16",), "architecture": "aarch64"}, "float32", "x86"),
    ],
)
def test_bf16_is_preferred_only_where_it_is_native(
    facts: dict[str, object], precision: str, reason: str
) -> None:
    chosen, why = preferred_precision(a_machine(**facts))
    assert chosen == precision
    assert reason in why


def test_versions_are_those_installed() -> None:
    found = versions()
    assert found["keras"] == metadata.version("keras")
    assert found["numpy"] == np.__version__
    assert ("tensorflow" in found) or ("tensorflow-cpu" in found)
    assert {"python", "tenfold", "pillow", "simplejpeg"} <= found.keys()


def test_peak_memory_sees_what_was_used_and_given_back() -> None:
    before = peak_memory()
    assert before >= psutil.Process().memory_info().rss * 0.5
    size = max(0, before - psutil.Process().memory_info().rss) + 64 * 2**20
    block = np.ones(size, np.uint8)
    del block
    assert before + 32 * 2**20 < peak_memory() < before + 2 * size


@ON_LINUX
def test_peak_memory_is_not_that_of_the_program_that_started_this_one(tmp_path: Path) -> None:
    program = """
import os, sys
block = b"x" * (300 * 2**20)
if os.fork() == 0:  # the child starts its life as large as its parent
    os.execv(sys.executable, [
        sys.executable, "-c", "from tenfold.machine import peak_memory; print(peak_memory())"
    ])
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert 2**20 < int(done.stdout) < 200 * 2**20


def test_asking_imports_nothing_heavy() -> None:
    program = (
        "import sys, tenfold.machine as m; m.preferred_precision(m.describe()); m.versions();"
        "print([n for n in ('tensorflow', 'keras', 'numpy', 'scipy') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
