"""``python -m bench NAME``: run a bench and print what it found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bench.children import ChildError
from bench.options import RUNS, Options
from bench.registry import BENCHES
from bench.result import as_json, as_table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; return the status of the process. A missed target is a result, not a failure."""
    asked = _parser().parse_args(arguments)
    if asked.name == "list":
        for name, bench in BENCHES.items():
            print(f"{name:<12} {bench.summary}")
        return 0
    names = list(BENCHES) if asked.name == "all" else [asked.name]
    if asked.name != "all" and asked.name not in BENCHES:
        print(f"no bench {asked.name!r}; there are: {', '.join(BENCHES)}, all, list", file=sys.stderr)
        return 2
    options = Options(runs=asked.runs, messages=asked.messages)
    for number, name in enumerate(names):
        try:
            result = BENCHES[name].measure(options)
        except ChildError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        if asked.json:
            print(as_json(result))
        else:
            print(("\n" if number else "") + as_table(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure tapewire on this machine.", allow_abbrev=False
    )
    parser.add_argument("name", help="a bench, 'all' or 'list'")
    parser.add_argument("--json", action="store_true", help="one JSON object a bench, on one line")
    parser.add_argument("--runs", type=_count, default=RUNS, help=f"rounds to take medians of (default {RUNS})")
    parser.add_argument(
        "--messages", type=_count, help="messages a measurement, in place of the bench's own choice"
    )
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


if __name__ == "__main__":
    sys.exit(main())
