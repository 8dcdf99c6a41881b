"""Leaks: pictures that are in two splits at once, so that a test is no test.

A model that has trained on a test picture, or on a copy of it, knows the answer. How many such
pictures there are is said before a training where it is known at no cost: copies that are equal in
every pixel always, changed ones once somebody has looked for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tenfold.data.duplicates import Duplicates, known_duplicates
from tenfold.data.duplicates.found import exact_only

if TYPE_CHECKING:
    from tenfold.data.dataset import Dataset

_Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Leaks:
    """How many pictures of a dataset's splits are duplicates of pictures of another split.

    Attributes:
        test: pictures of the test that have a duplicate in training.
        train_in_test: training pictures that have a duplicate in the test.
        validation_in_test: likewise of the validation.
        train_in_validation: training pictures that have a duplicate in the validation.
        near: whether changed copies were looked for; else only equal pictures count.
    """

    test: int
    train_in_test: int
    validation_in_test: int
    train_in_validation: int
    near: bool

    def __bool__(self) -> bool:
        return bool(self.train_in_test or self.validation_in_test or self.train_in_validation)


def leaks_between(
    duplicates: Duplicates, train: _Positions, validation: _Positions, test: _Positions
) -> Leaks:
    """Count the leaks between splits.

    Args:
        duplicates: of the store.
        train: positions in the store.
        validation: likewise.
        test: likewise.
    """
    within = duplicates.within
    return Leaks(
        test=int(within(test, train).sum()),
        train_in_test=int(within(train, test).sum()),
        validation_in_test=int(within(validation, test).sum()),
        train_in_validation=int(within(train, validation).sum()),
        near=duplicates.near_searched,
    )


def known_leaks(dataset: Dataset) -> Leaks | None:
    """The leaks of a dataset as far as they are known; None for one that was put together by hand.

    No picture is read: equal ones are known from the preparation of the store, changed copies where
    `find_duplicates` has looked for them.
    """
    store = dataset.store
    if store is None:
        return None
    return leaks_between(
        known_duplicates(store) or exact_only(store),
        dataset.train.indices,
        dataset.validation.indices,
        dataset.test.indices,
    )


def in_words(leaks: Leaks, test: int) -> str:
    """What leaks, why it matters and what to do, in one line.

    Args:
        leaks: of a dataset, at least one.
        test: how many pictures its test has.
    """
    mend = "leave them out with --set data.drop_leaks=true"
    if leaks.train_in_test:
        are, share = "are" if leaks.test != 1 else "is", leaks.test / test
        return (
            f"{_counted(leaks.test, 'test picture')} ({share:.1%}) {are} in training too, as "
            f"{_counted(leaks.train_in_test, 'duplicate')}: the test accuracy will look too good; "
            f"{mend}"
        )
    count, name = leaks.validation_in_test, "test"
    if not count:
        count, name = leaks.train_in_validation, "validation"
    split = "training" if name == "validation" else "validation"
    are = "are duplicates" if count != 1 else "is a duplicate"
    return f"{_counted(count, f'{split} picture')} {are} of {name} pictures; {mend}"


def without_leaks(
    duplicates: Duplicates, train: _Positions, validation: _Positions, test: _Positions
) -> tuple[_Positions, _Positions]:
    """Training and validation without the duplicates of what they are measured by.

    Validation pictures go that have a duplicate in the test, then training pictures that have one
    in the test or in what is left of the validation. The test stays as it is.

    Returns:
        The positions that are left of training and of validation, in their order.
    """
    validation = validation[~duplicates.within(validation, test)]
    train = train[~duplicates.within(train, np.concatenate([test, validation]))]
    return train, validation


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
