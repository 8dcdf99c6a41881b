"""Reads the pickles of the CIFAR archives, and nothing else that a pickle can say.

A pickle is a program. This reader admits the few instructions that a CIFAR file consists of, and
looks up only three names (numpy's array, its reconstruction and its dtype), each answered by a
stand-in of ours that can hold nothing but uint8 arrays. numpy itself is not called before the
whole was read and checked.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.errors import SourceError

_INSTRUCTIONS = frozenset({
    "PROTO", "FRAME", "MARK", "STOP", "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
    "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
    "SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET",
})  # fmt: skip


_MOST_INSTRUCTIONS = 1_000_000
"""The largest official file has a fifth of them. Each may make an object of a hundred bytes."""

_MOST_TUPLES = 1000
"""Official files have a handful: what an array is made with. A tuple can hold a tuple, and so on;
Python hashes, prints and frees deep ones by recursion in C, which ends the process."""


def load(raw: bytes, name: str) -> dict[str, object]:
    """The dict in a CIFAR pickle: keys as text, arrays as uint8 arrays over ``raw``'s bytes.

    Args:
        raw: the file's content.
        name: what messages call the file.

    Raises:
        SourceError: the pickle is damaged, or asks for anything that a CIFAR file does not hold.
    """
    _check_instructions(raw, name)
    try:
        loaded = _Unpickler(raw, name).load()
    except SourceError:
        raise
    except Exception as error:  # damaged pickles raise whatever the instruction at fault does
        raise _damaged(name, error) from None
    if not isinstance(loaded, dict):
        raise SourceError(f"{name} is a pickle, but not of a dict as in a CIFAR archive")
    try:
        return {_text(key): _plain(value) for key, value in loaded.items()}
    except (TypeError, ValueError) as error:
        raise _damaged(name, error) from None


def _check_instructions(raw: bytes, name: str) -> None:
    """Refuse instructions that a CIFAR file does not hold, too many, and memo slots out of range.

    The latter because the unpickler allocates the memo up to the largest index it is told: twenty
    bytes could ask for gigabytes.
    """
    count = tuples = 0
    try:
        for instruction, argument, _ in pickletools.genops(raw):
            count += 1
            tuples += instruction.name.startswith("TUPLE")
            if count > _MOST_INSTRUCTIONS or tuples > _MOST_TUPLES:
                raise _damaged(name, "more instructions than any has")
            if instruction.name not in _INSTRUCTIONS:
                raise SourceError(
                    f"{name} is a pickle with the instruction {instruction.name}, which no CIFAR "
                    "file holds; it was not loaded. Get the archive from its official site"
                )
            if instruction.name.endswith("PUT") and int(argument or 0) > count:
                raise _damaged(name, f"memo index {argument}")
    except (ValueError, IndexError) as error:
        raise _damaged(name, error) from None


class _Unpickler(pickle.Unpickler):
    def __init__(self, raw: bytes, name: str) -> None:
        super().__init__(io.BytesIO(raw), encoding="bytes")
        self._name = name

    def find_class(self, module: str, name: str, /) -> Any:
        if (module, name) not in _STAND_INS:
            raise SourceError(
                f"{self._name} is a pickle that asks for {module}.{name}, which no CIFAR file "
                "does; it was not loaded. Get the archive from its official site"
            )
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise _damaged(self._name, "a persistent reference")


class _Uint8:
    """Stands in for the one dtype that is admitted."""

    def __setstate__(self, state: object) -> None:
        """The state is byte order and alignment: a single byte has neither."""


class _Array:
    """Stands in for an array until its state has been checked."""

    pixels: NDArray[np.uint8]

    def __setstate__(self, state: tuple[object, ...]) -> None:
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _Uint8) or not isinstance(raw, bytes):
            raise TypeError("an array that is not of uint8")
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise TypeError("an array without a shape")
        flat = np.frombuffer(raw, np.uint8)
        self.pixels = flat.reshape(shape, order="F" if fortran else "C")


class _Function:
    """Stands in for a function of numpy's: a pickle can call it, and cannot change it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *arguments: object) -> object:
        return self._function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise TypeError("state for a function")


def _dtype(code: object, *_: object) -> _Uint8:
    if code not in ("u1", b"u1"):
        raise TypeError("an array of another dtype than a CIFAR file's uint8")
    return _Uint8()


def _reconstruct(*_: object) -> _Array:
    return _Array()


_STAND_INS: dict[tuple[str, str], object] = {
    ("numpy", "dtype"): _Function(_dtype),
    ("numpy", "ndarray"): "ndarray",  # only ever passed on to _reconstruct
    ("numpy.core.multiarray", "_reconstruct"): _Function(_reconstruct),
    ("numpy._core.multiarray", "_reconstruct"): _Function(_reconstruct),
}


def _text(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "replace")
    if isinstance(key, str):
        return key
    raise TypeError("a key that is no text")


def _plain(value: object) -> object:
    if not isinstance(value, _Array):
        return value
    pixels = getattr(value, "pixels", None)
    if pixels is None:
        raise TypeError("an array that was begun and not filled")
    return pixels


def _damaged(name: str, reason: object) -> SourceError:
    return SourceError(
        f"{name} is not a whole CIFAR pickle ({reason}); copy or download the archive again"
    )
