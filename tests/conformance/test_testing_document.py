"""The examples of docs/testing.md run as they stand, and the plugin says what it cannot do."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
DEADLINE_S = 60


def run_pytest(folder: Path, test: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CODE[0])
    (folder / "test_program.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *options, str(folder)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        cwd=folder,
    )


def test_the_program_and_its_tests_run(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, CODE[1])
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


def test_the_async_fixture_runs(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, CODE[2])
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout


def test_it_runs_without_pytest() -> None:
    exec(compile(CODE[3], "docs/testing.md", "exec"), {"__name__": "example"})


def test_mistakes_are_told_in_a_line(tmp_path: Path) -> None:
    test = """
import asyncio
import pytest

@pytest.mark.virtual
def test_no_coroutine(broker): ...

@pytest.mark.virtual(7)
async def test_by_position(broker): ...

@pytest.mark.virtual
async def test_a_task_is_left(system):
    asyncio.create_task(asyncio.sleep(1), name="left alone")

@pytest.mark.virtual(symbols=1)
async def test_that_fails(broker):
    assert broker.portfolios == ()

@pytest.mark.virtual(simbols=1)
async def test_a_slip(broker): ...

@pytest.mark.virtual(symbols=0)
async def test_a_bad_value(broker): ...

@pytest.mark.virtual
async def test_connecting():
    import tapewire
    async with tapewire.connect(): ...

@pytest.fixture(scope="module")
async def for_all(): ...

pytestmark = pytest.mark.virtual

async def test_a_fixture_that_lives_too_long(for_all): ...
"""
    ended = run_pytest(tmp_path, test)
    assert "7 failed, 1 error" in ended.stdout
    for text in (
        "for coroutines",
        "takes settings by name",
        "left alone",
        "has no simbols: seed, symbols, events_per_second,",
        "the catalogue has 1 to 33 instruments, not 0",
        "take the fixture `broker`, or `system.connect()`",
        "'for_all' lives as long as its test",
    ):
        assert text in ended.stdout
    # Nobody has to read what tapewire looks like inside.
    assert "src/tapewire" not in ended.stdout


def test_a_fixture_is_not_there_without_the_mark(tmp_path: Path) -> None:
    test = """
def test_without_the_mark(broker):
    broker.trades("SBER")
"""
    assert "the fixture 'broker' is for" in run_pytest(tmp_path, test).stdout


CALLBACKS = """
import asyncio
import pytest

async def fail_on_trades(broker):
    @broker.on_trades("SBER")
    def on_trade(trade):
        raise ValueError("of the program")
    while not on_trade.failed:
        await asyncio.sleep(0.1)

@pytest.mark.virtual(symbols=1)
async def test_a_callback_raises(broker):
    await fail_on_trades(broker)

@pytest.mark.virtual(symbols=1)
async def test_one_of_another_broker(system):
    async with system.connect() as another:
        await fail_on_trades(another)

@pytest.mark.virtual(symbols=1)
async def test_the_failure_of_the_test_comes_first(broker):
    await fail_on_trades(broker)
    assert 1 == 2

@pytest.mark.virtual(symbols=1, callbacks_may_raise=True)
async def test_it_may(broker):
    await fail_on_trades(broker)
"""


def test_a_callback_that_raises_fails_the_test(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, CALLBACKS)
    assert "3 failed, 1 passed" in ended.stdout
    # The summary may say it again.
    failure = "UnhandledError: a callback of trades:SBER has raised ValueError('of the program')"
    lines = [line for line in ended.stdout.splitlines() if line.startswith("E ") and failure in line]
    assert len(lines) == 2
    assert "and before, a callback of trades:SBER has raised" in ended.stdout
    assert "assert 1 == 2" in ended.stdout


FIXTURES = """
import pytest

DONE = []

@pytest.fixture
async def quotes(broker):
    async with broker.quotes("SBER") as stream:
        yield stream
    DONE.append("quotes")

@pytest.fixture
async def price(quotes, factor):
    return (await anext(quotes)).last_price * factor

@pytest.fixture
def factor():
    return 2

@pytest.fixture(autouse=True)
async def around(system):
    yield
    DONE.append("around")

class TestInAClass:
    @pytest.fixture
    async def of_the_class(self):
        self.is_set = True

    @pytest.mark.virtual
    async def test_it(self, of_the_class):
        assert self.is_set

@pytest.mark.virtual
async def test_it_fails(price, quotes):
    assert quotes.state.value == "active"
    assert price < 0

@pytest.mark.virtual
async def test_all_ends_in_order_also_behind_a_failure():
    assert DONE == ["around", "quotes", "around"]

@pytest.fixture
async def twice():
    yield 1
    yield 2

@pytest.mark.virtual
async def test_a_fixture_with_two_values(twice): ...
"""


def test_async_fixtures_run_on_the_loop_of_their_test(tmp_path: Path) -> None:
    ended = run_pytest(tmp_path, FIXTURES)
    assert "2 failed, 2 passed" in ended.stdout, ended.stdout
    assert "'twice' yields more than once" in ended.stdout
    assert "assert price < 0" in ended.stdout


def test_all_frames_are_there_for_those_who_ask(tmp_path: Path) -> None:
    test = """
import pytest

@pytest.mark.virtual(symbols=1)
async def test_a_depth_that_is_not(broker):
    broker.book("SBER", depth=99)
"""
    assert "in book" not in run_pytest(tmp_path, test).stdout
    assert "market_streams.py" in run_pytest(tmp_path, test, "--full-trace").stdout


def test_without_pytest_it_says_what_is_missing() -> None:
    code = "import sys; sys.modules['pytest'] = None; import tapewire.testing"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert "tapewire.testing needs pytest: pip install 'tapewire[testing]'" in ended.stderr
