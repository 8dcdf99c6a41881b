"""Whether two pictures are one: how alike they are once one is laid over the other.

Small grey pictures are compared by what is left of them between two blurs, so that neither noise
nor slow shading counts. Three steps, each dearer than the one before and given fewer pairs:

1. At half the size, one picture is explained by the other and its tangents to shift and stretch
   (Simard et al., "Transformation invariance in pattern recognition: tangent distance and tangent
   propagation", 1998).
2. At half the size, shift and stretch are found by Gauss-Newton steps.
3. Likewise at full size.

What counts at the end is a correlation: a copy that is brighter or has more contrast is a copy.
Rows and columns lose their means before it, because a horizon, a page's margin or a pen's stroke
lies alike in pictures that have nothing else in common.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 32
"""Side of the grey pictures that are compared."""

_MARGINS = {SIDE // 2: 2, SIDE: 3}
"""Pixels at each edge that are not compared, because a crop or a shift may have lost them."""

_LARGEST_SHIFT = 0.14
"""As a share of the side."""
_LEAST_STRETCH, _LARGEST_STRETCH = 0.78, 1.28
_LARGEST_STEP = np.array([1 / 16, 1 / 16, 0.1, 0.1], np.float32)
"""Shifts as shares of the side."""

_UNMOVED = np.array([0, 0, 1, 1], np.float32)
_TO_FULL_SIZE = np.array([2, 2, 1, 1], np.float32)

_STEPS = 3
_LEAST_EXPLAINED = 0.65
_LEAST_COARSE = 0.86

_LEAST_DETAIL = 1.5
"""Grey levels, root of the mean square: a picture with less between the blurs is flat, and what it
resembles would be decided by the noise of its compression."""

_Floats = NDArray[np.floating[Any]]
"""float32; NumPy's stubs lose track of that."""

Grey = _Floats
"""Grey levels or what is left of them, (n, side, side)."""


def likeness(first: Grey, second: Grey) -> NDArray[np.float32]:
    """How alike the two pictures of each pair are, the second laid over the first.

    Args:
        first: grey levels, float32 (n, SIDE, SIDE).
        second: likewise; already mirrored where the pair is to be compared so.

    Returns:
        float32 (n,), at most 1; 0 where an earlier step saw that the two differ, or one is flat.
    """
    result = np.zeros(len(first), np.float32)
    small_first, small_second = _band(_halved(first)), _band(_halved(second))
    left = np.flatnonzero(_explained(small_first, small_second) >= _LEAST_EXPLAINED)
    if len(left):
        place = np.tile(_UNMOVED, (len(left), 1))
        place, alike = _align(small_first[left], small_second[left], place)
        kept = alike >= _LEAST_COARSE
        left, place = left[kept], place[kept] * _TO_FULL_SIZE
    if len(left):
        result[left] = _align(_band(first[left]), _band(second[left]), place)[1]
    return result


def _explained(first: Grey, second: Grey) -> _Floats:
    """Share of the first picture's variance that the second and its tangents explain, (n,)."""
    inside = _inside(first.shape[1])
    target = _flattened(first[:, inside, inside])
    spread = np.sqrt(np.einsum("np,np->n", target, target) + 1e-6)
    basis = _flattened(_with_tangents(second, *_slopes(second))[..., inside, inside])
    products, moments = _normal_equations(basis, target / spread[:, None])
    return np.asarray((np.linalg.solve(products, moments) * moments).sum(axis=(1, 2)))


def _align(first: Grey, second: Grey, place: _Floats) -> tuple[_Floats, _Floats]:
    """Lay the second picture over the first.

    Args:
        first: float32 (n, side, side).
        second: likewise.
        place: float32 (n, 4), where to start: shift in x and in y in pixels, stretch in x and y.

    Returns:
        The best place that was tried, and the likeness there, (n,).
    """
    side = first.shape[1]
    inside = _inside(side)
    seen = first[:, inside, inside]
    target, bare = _flattened(seen), _without_stripes(seen)
    slopes = _slopes(second)
    reach = _LARGEST_SHIFT * side
    step = _LARGEST_STEP * np.array([side, side, 1, 1], np.float32)
    best_place, best = place.copy(), np.full(len(first), -1, np.float32)
    for number in range(_STEPS + 1):
        columns = _sampling(place[:, 0], place[:, 2], side).transpose(0, 2, 1)
        rows = _sampling(place[:, 1], place[:, 3], side)
        laid = rows @ second @ columns
        alike = _correlation(bare, _without_stripes(laid))
        better = alike > best
        best[better], best_place[better] = alike[better], place[better]
        if number == _STEPS:
            break
        basis = _flattened(_with_tangents(laid, *(rows @ slope @ columns for slope in slopes)))
        solved = np.linalg.solve(*_normal_equations(basis, target))[..., 0]
        gain = np.maximum(solved[:, :1], 0.2)
        place = place + np.clip(solved[:, 1:] / gain, -step, step)
        place[:, :2] = np.clip(place[:, :2], -reach, reach)
        place[:, 2:] = np.clip(place[:, 2:], _LEAST_STRETCH, _LARGEST_STRETCH)
    return best_place, best


def _with_tangents(pictures: Grey, by_x: Grey, by_y: Grey) -> Grey:
    """Pictures, and how they change with shift and stretch in x and y, (n, 5, side, side)."""
    side = pictures.shape[1]
    offsets = np.arange(side, dtype=np.float32) - (side - 1) / 2
    return np.stack([pictures, by_x, by_y, by_x * offsets, by_y * offsets[:, np.newaxis]], axis=1)


def _normal_equations(basis: _Floats, target: _Floats) -> tuple[_Floats, _Floats]:
    """Of the least-squares problem ``basis x = target``: matrices (n, 5, 5) and sides (n, 5, 1)."""
    products = basis @ basis.transpose(0, 2, 1)
    diagonal = range(products.shape[1])
    # A picture may not change at all with a shift: a little on the diagonal keeps this solvable.
    products[:, diagonal, diagonal] = products[:, diagonal, diagonal] * 1.001 + 1e-2
    return np.asarray(products), np.asarray(basis @ target[..., np.newaxis])


def _slopes(pictures: Grey) -> tuple[Grey, Grey]:
    """How pictures change in x and in y."""
    by_y, by_x = np.gradient(pictures, axis=(1, 2))
    return np.asarray(by_x), np.asarray(by_y)


def _sampling(shift: _Floats, stretch: _Floats, side: int) -> _Floats:
    """Matrices that sample the inside of a line of ``side`` pixels linearly at other places."""
    centre = (side - 1) / 2
    inside = np.arange(side, dtype=np.float32)[_inside(side)] - centre
    places = centre + shift[:, None] + stretch[:, None] * inside
    nodes = np.arange(side, dtype=np.float32)
    distances = np.abs(np.clip(places, 0, side - 1)[:, :, None] - nodes)
    return np.asarray(np.maximum(0, 1 - distances), np.float32)


def _correlation(first: _Floats, second: _Floats) -> _Floats:
    """Of rows (n, pixels) whose mean is 0; 0 where either is flat."""
    squares = [np.einsum("np,np->n", rows, rows) for rows in (first, second)]
    least = first.shape[1] * _LEAST_DETAIL**2
    flat = np.minimum(*squares) < least
    alike = np.einsum("np,np->n", first, second) / np.sqrt(np.maximum(squares[0] * squares[1], 1))
    alike[flat] = 0
    return np.asarray(alike)


def _without_stripes(pictures: Grey) -> _Floats:
    """Pictures less the means of their rows and of their columns, (n, pixels)."""
    bare = pictures - pictures.mean(axis=1, keepdims=True)
    bare -= bare.mean(axis=2, keepdims=True)
    return np.asarray(bare.reshape(len(bare), -1))


def _flattened(pictures: _Floats) -> _Floats:
    """Pictures (..., side, side) less their means, (..., pixels)."""
    rows = pictures.reshape(*pictures.shape[:-2], -1)
    return np.asarray(rows - rows.mean(axis=-1, keepdims=True))


def _inside(side: int) -> slice:
    return slice(_MARGINS[side], side - _MARGINS[side])


def _halved(pictures: Grey) -> Grey:
    rows = pictures[:, ::2] + pictures[:, 1::2]
    return (rows[:, :, ::2] + rows[:, :, 1::2]) / 4


def _band(pictures: Grey) -> Grey:
    """What a narrow blur leaves and a wide one takes away."""
    narrow, wide = _blurs(pictures.shape[1])
    return np.asarray(narrow @ pictures @ narrow.T - wide @ pictures @ wide.T)


@cache
def _blurs(side: int) -> tuple[_Floats, _Floats]:
    """Matrices that blur a line of pixels by (1 4 6 4 1) / 16 once, and four times."""
    once = np.zeros((side, side), np.float32)
    for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
        for pixel in range(side):
            once[pixel, min(max(pixel + offset, 0), side - 1)] += weight / 16
    return once, np.asarray(np.linalg.matrix_power(once, 4), np.float32)
