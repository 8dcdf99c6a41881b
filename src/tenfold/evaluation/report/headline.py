"""What a test accuracy means, in words, beside what guessing would reach."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.evaluation.metrics import Evaluation


@dataclass(frozen=True)
class Headline:
    """The accuracy, and what to hold it against.

    Attributes:
        accuracy: share of hits.
        low: where its 95% interval begins.
        high: where it ends.
        chance: what a guess among all classes reaches.
        commonest: what always answering the most frequent class of the test reaches.
        commonest_label: that class.
        in_words: how often the model is right, as one says it.
        beats_guessing: whether the whole interval lies above both.
    """

    accuracy: float
    low: float
    high: float
    chance: float
    commonest: float
    commonest_label: int
    in_words: str
    beats_guessing: bool

    @property
    def baseline(self) -> float:
        """What guessing reaches: the commonest class where that is much the better guess."""
        return self.commonest if self.unbalanced else self.chance

    @property
    def unbalanced(self) -> bool:
        """Whether always answering one class is much better than a guess."""
        return self.commonest > 1.2 * self.chance


def headline(test: Evaluation) -> Headline:
    """Set an accuracy beside what guessing reaches."""
    low, high = test.interval
    most = max(test.class_counts)
    chance, commonest = 1 / len(test.class_names), most / test.count
    return Headline(
        accuracy=test.accuracy,
        low=low,
        high=high,
        chance=chance,
        commonest=commonest,
        commonest_label=test.class_counts.index(most),
        in_words=_in_words(test.accuracy),
        beats_guessing=low > max(chance, commonest),
    )


def _in_words(share: float) -> str:
    """How often, in the smallest round number of times that tells it from never and always."""
    if share in (0.0, 1.0):
        return "every time in this test" if share else "never in this test"
    for times in (100, 1000, 10_000):
        if 0 < (hits := round(share * times)) < times:
            return f"about {hits:,} times in {times:,}"
    return "nearly every time" if share > 0.5 else "almost never"
