"""What this computer can do, and the settings that follow.

Predictions ask for the number of cores while somebody waits, so whatever else takes long to import
is imported where it is used.
"""

from __future__ import annotations

import math
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tenfold import cgroup

Precision = Literal["float32", "bf16"]

# What decides how fast a convolution runs here, by the names that Linux gives them.
_X86_SETS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
_ARM_SETS = ("asimd", "bf16", "i8mm", "sve")

# The same on macOS: our name, and the kernel variable that holds 1 where the set is there.
_MACOS_VARIABLES = {
    "avx2": "hw.optional.avx2_0",
    "avx512f": "hw.optional.avx512f",
    "asimd": "hw.optional.AdvSIMD",
    "bf16": "hw.optional.arm.FEAT_BF16",
    "i8mm": "hw.optional.arm.FEAT_I8MM",
}

# TensorFlow goes by another name where a wheel without GPU code is published.
_DISTRIBUTIONS = (
    "tenfold",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "numpy",
    "pillow",
    "simplejpeg",
)


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts about a computer that explain a run's speed.

    Attributes:
        system: operating system and its version.
        architecture: ``x86_64``, ``arm64``, ...
        cpu: the processor's name.
        cores: cores that this process may use, by affinity and container quota; at least 1.
        cores_total: logical cores of the machine.
        instruction_sets: those of interest that the processor has, by Linux's names; empty where
            the system does not say (Windows).
        memory_total: bytes that this process could ever use, container limits counted.
        memory_available: bytes of them that are free now, or can be freed by dropping caches.
        python: version of Python.
    """

    system: str
    architecture: str
    cpu: str
    cores: int
    cores_total: int
    instruction_sets: tuple[str, ...]
    memory_total: int
    memory_available: int
    python: str


def describe() -> Machine:
    """Look at this computer, as this process sees it; takes a few milliseconds."""
    cpu, instruction_sets = _processor()
    total, available = _memory()
    return Machine(
        system=platform.platform(),
        architecture=platform.machine(),
        cpu=cpu,
        cores=usable_cores(),
        cores_total=os.cpu_count() or 1,
        instruction_sets=instruction_sets,
        memory_total=total,
        memory_available=available,
        python=platform.python_version(),
    )


def preferred_precision(machine: Machine) -> tuple[Precision, str]:
    """The precision that trains faster on ``machine``, and why, in words.

    bf16 pays only where the processor multiplies it natively and TensorFlow uses that, which it
    does on x86 Linux. Elsewhere bf16 is emulated through float32 and slower than float32 itself.
    """
    if machine.architecture not in ("x86_64", "AMD64") or not machine.system.startswith("Linux"):
        return "float32", "TensorFlow computes bf16 natively on x86 Linux only"
    for name in ("amx_bf16", "avx512_bf16"):
        if name in machine.instruction_sets:
            return "bf16", f"the processor computes bf16 natively ({name})"
    return "float32", "the processor would emulate bf16 (it has neither amx_bf16 nor avx512_bf16)"


def versions() -> dict[str, str]:
    """Versions of Python, Tenfold and the packages that a result depends on, by name."""
    from importlib import metadata

    found = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # only one of tensorflow and tensorflow-cpu is installed
    return found


def parse_memory(text: str) -> int:
    """Bytes from a text like ``2GB``, ``1500 MB``, ``1.5GiB`` or ``800000000``.

    Raises:
        ValueError: it is no size, or 0.
    """
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?) ?([kmgt]i?)?b?", text.strip(), re.IGNORECASE)
    prefix = ((found and found[2]) or "").lower()
    base = 1024 if prefix.endswith("i") else 1000
    size = int(float(found[1]) * base ** " kmgt".index(prefix[:1] or " ")) if found else 0
    if size < 1:
        raise ValueError(f"{text!r} is not a size; write it like 2GB, 500MB or 64KiB")
    return size


def usable_cores() -> int:
    """Cores that this process may use, by affinity and container quota; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    # A quota of 1.5 cores keeps two threads busy for most of the time, so it rounds up.
    return max(1, math.ceil(min(cores, cgroup.core_quota())))


def peak_memory() -> int:
    """The largest resident size that this process has had, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":
        # The kernel carries ru_maxrss over from the program that started this one; VmHWM is ours.
        status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _memory() -> tuple[int, int]:
    """Bytes in all, and bytes available, for this process."""
    import psutil

    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    for limit, used in cgroup.memory_limits():
        total = min(total, limit)
        available = min(available, max(0, limit - used))
    return total, available


def _processor() -> tuple[str, tuple[str, ...]]:
    """Name and instruction sets of interest."""
    system = platform.system()
    if system == "Linux":
        return _parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    if system == "Darwin":
        sets = (name for name, variable in _MACOS_VARIABLES.items() if _sysctl(variable) == "1")
        return _sysctl("machdep.cpu.brand_string") or platform.machine(), tuple(sets)
    return platform.processor() or platform.machine(), ()


def _parse_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """Read Linux's /proc/cpuinfo; Arm kernels give no name, and call the flags features."""
    facts: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip().lower(), value.strip())
    flags = set((facts.get("flags") or facts.get("features") or "").split())
    name = facts.get("model name") or facts.get("hardware") or platform.machine()
    return name, tuple(name for name in (*_X86_SETS, *_ARM_SETS) if name in flags)


def _sysctl(variable: str) -> str:
    """A kernel variable of macOS; empty where this kernel does not know it."""
    import subprocess

    command = ["/usr/sbin/sysctl", "-n", variable]  # a fixed program, and fixed names
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip()
