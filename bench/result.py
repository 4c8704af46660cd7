"""What a bench has found, for programs (JSON) and for people (a table)."""

from __future__ import annotations

import msgspec

from bench.machine import Machine

__all__ = ["Result", "as_json", "as_table"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one bench. The unit of a figure is the end of its name."""

    name: str
    figures: dict[str, float]
    #: Ours to theirs: above 1 is faster than they are.
    ratios: dict[str, float]
    #: Text of each target and whether it was reached.
    targets: dict[str, bool]
    machine: Machine


def as_json(result: Result) -> str:
    """Write a result as one line of JSON."""
    return msgspec.json.encode(result).decode()


def as_table(result: Result) -> str:
    """Write a result for a person."""
    lines = [result.name, ""]
    lines += _rows(
        {name: f"{figure:,.0f}" if figure >= 100 else f"{figure:,.3g}" for name, figure in result.figures.items()}
    )
    lines += ["", "ratios"]
    lines += _rows({name: f"{ratio:.2f}" for name, ratio in result.ratios.items()})
    lines += ["", "targets"]
    lines += _rows({text: "reached" if reached else "missed" for text, reached in result.targets.items()})
    lines += ["", "machine"]
    lines += _rows({name: str(value) for name, value in result.machine.items()})
    return "\n".join(lines)


def _rows(cells: dict[str, str]) -> list[str]:
    if not cells:
        return ["  none"]
    left = max(map(len, cells))
    right = max(map(len, cells.values()))
    return [f"  {name:<{left}}  {value:>{right}}" for name, value in cells.items()]
