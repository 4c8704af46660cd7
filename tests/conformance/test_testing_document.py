"""The examples of docs/testing.md run as they stand, and the plugin says what it cannot do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
DEADLINE_S = 60


def run_pytest(folder: Path, test: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CODE[0])
    (folder / "test_program.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, str(folder)], capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd=folder
    )


def test_the_program_and_its_tests_run(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, CODE[1])
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


def test_it_runs_without_pytest() -> None:
    exec(compile(CODE[2], "docs/testing.md", "exec"), {"__name__": "example"})


def test_mistakes_are_told_in_a_line(tmp_path: Path) -> None:
    test = """
import asyncio
import pytest

@pytest.mark.virtual
def test_no_coroutine(broker): ...

@pytest.mark.virtual(7)
async def test_by_position(broker): ...

def test_without_the_mark(broker):
    broker.trades("SBER")

@pytest.mark.virtual
async def test_a_task_is_left(system):
    asyncio.create_task(asyncio.sleep(1), name="left alone")

@pytest.mark.virtual(symbols=1)
async def test_that_fails(broker):
    assert broker.portfolios == ()
"""
    ended = run_pytest(tmp_path, test)
    assert "5 failed" in ended.stdout
    for text in ("for coroutines", "takes settings by name", "the fixture 'broker' is for", "left alone"):
        assert text in ended.stdout
