"""``make fuzz``: a bounded run of every target under a fuzzer that is led by coverage.

    python tests/fuzz/run.py [--seconds 20] [target …]

A target runs in a process of its own, begins with its seeds and what earlier runs have kept in ``.fuzz/``, and
ends after its time or at the first fault. The input of a fault is left in ``.fuzz/``; moved to ``found/<target>/``
it is a test from then on. Where atheris does not exist this says so and succeeds. Decision 0038.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".fuzz"
INPUT_BYTES_MAX = 4_096
#: One input may take so long, and the process so much memory.
INPUT_SECONDS_MAX = 10
MEMORY_MB_MAX = 1_500
#: What is led by: the code of tapewire, and for tokens the library that reads them.
INSTRUMENTED = {"tokens": ["tapewire", "jwt"]}
#: Start and end of a process, beside the time it fuzzes.
GRACE_S = 60
_DONE = re.compile(r"^#(\d+)\tDONE +cov: (\d+)", re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz; return the status of the process: 1 if there was a fault."""
    asked = _parser().parse_args(arguments)
    if asked.child:
        _fuzz(asked.targets[0], asked.seconds)
        return 0
    sys.path.insert(0, str(ROOT / "tests"))
    from fuzz.seeds import dictionary, seeds
    from fuzz.targets import TARGETS

    for target in asked.targets:
        if target not in TARGETS:
            print(f"no target {target!r}; there are: {', '.join(TARGETS)}", file=sys.stderr)
            return 2
    if importlib.util.find_spec("atheris") is None:
        print(
            f"fuzz: not run, there is no atheris for {platform.python_implementation()} "
            f"{platform.python_version()} on {platform.system()} {platform.machine()} "
            "(pip install 'tapewire[fuzz]' has it where it exists)"
        )
        return 0
    KEPT.mkdir(exist_ok=True)
    (KEPT / "words.dict").write_bytes(dictionary())
    targets = asked.targets or list(TARGETS)
    for target in targets:
        corpus = KEPT / target
        corpus.mkdir(exist_ok=True)
        for number, data in enumerate(seeds(target)):
            (corpus / f"seed-{number}").write_bytes(data)
    # Each is a process of its own, and one core is all that it uses.
    with ThreadPoolExecutor(os.cpu_count()) as side_by_side:
        return max(side_by_side.map(partial(_run, seconds=asked.seconds), targets))


def _run(target: str, seconds: int) -> int:
    """Run one target in a process of its own and say in a line what came of it."""
    command = [sys.executable, __file__, "--child", "--seconds", str(seconds), target]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + GRACE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"fuzz: {target}: does not end")
        return 1
    counts = _DONE.search(done.stderr)
    if done.returncode == 0 and counts is not None:
        print(f"fuzz: {target}: {counts[1]} inputs, {counts[2]} places of the code reached", flush=True)
        return 0
    print(f"fuzz: {target}: a fault\n{done.stdout}{done.stderr[-4_000:]}", flush=True)
    return 1


def _fuzz(target: str, seconds: int) -> None:
    """Fuzz one target in this process, which ends here."""
    import atheris

    sys.path.insert(0, str(ROOT / "tests"))
    with atheris.instrument_imports(include=INSTRUMENTED.get(target, ["tapewire"])):
        from fuzz.targets import TARGETS
    run = TARGETS[target]
    options = {
        "max_total_time": seconds,
        "max_len": INPUT_BYTES_MAX,
        "timeout": INPUT_SECONDS_MAX,
        "rss_limit_mb": MEMORY_MB_MAX,
        "dict": KEPT / "words.dict",
        "artifact_prefix": f"{KEPT}/{target}-",
        "verbosity": 1,
    }
    arguments = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, str(KEPT / target)], run)
    atheris.Fuzz()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz", description="Fuzz what the gateway reads.", allow_abbrev=False)
    parser.add_argument("targets", nargs="*", help="all without")
    parser.add_argument("--seconds", type=int, default=20, help="for each target (default 20)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
