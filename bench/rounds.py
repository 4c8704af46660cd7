"""Fair repetition: the candidates take turns, and a figure is the median over the rounds.

A machine's speed drifts over minutes. Candidates that are measured in turns (A B C A B C …) drift together, so a
ratio is taken inside each round and only then is its median taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

__all__ = ["interleave", "median_of", "median_ratio"]

C = TypeVar("C")
M = TypeVar("M")


def interleave(candidates: Mapping[str, C], measure: Callable[[str, C], M], runs: int) -> dict[str, list[M]]:
    """Measure each candidate once a round; return its measurements by name, in the order of the rounds."""
    measured: dict[str, list[M]] = {name: [] for name in candidates}
    for _ in range(runs):
        for name, candidate in candidates.items():
            measured[name].append(measure(name, candidate))
    return measured


def median_of(measurements: Sequence[M], figure: Callable[[M], float]) -> float:
    """Return the median of one figure."""
    return median(figure(measurement) for measurement in measurements)


def median_ratio(ours: Sequence[M], theirs: Sequence[M], figure: Callable[[M], float]) -> float:
    """Return the median of the ratios that the rounds gave."""
    return median(figure(one) / figure(other) for one, other in zip(ours, theirs, strict=True))
