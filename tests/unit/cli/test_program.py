"""Running a command: expected errors, signals, one clear line."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tapewire.cli.program import fail, run_program, until_stopped
from tapewire.client.errors import ConnectionLostError, LimitError, RefusedError, TapewireError


async def raises(error: BaseException) -> None:
    raise error


def outcome(error: BaseException, *expected: type[BaseException]) -> int:
    with pytest.raises(SystemExit) as caught:
        run_program(raises(error), *expected)
    assert isinstance(caught.value.code, int)
    return caught.value.code


class OwnError(Exception):
    pass


class BadValueError(OwnError):
    pass


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RefusedError(404, "no such instrument"), "the broker refused: 404 no such instrument"),
        (ConnectionLostError(1006, ""), "the connection was lost (1006)"),
        (OwnError("cannot listen"), "cannot listen"),
        (ExceptionGroup("", [RefusedError(404, "x")]), "the broker refused: 404 x"),
        (ExceptionGroup("", [ExceptionGroup("", [OwnError("deep")]), RefusedError(1, "")]), "deep"),
        (
            RefusedError(400, "one\ntwo\r\n\x1b[31mthree\x07"),
            r"the broker refused: 400 one\ntwo\r\n\x1b[31mthree\x07",
        ),
    ],
)
def test_an_expected_error_is_one_line_and_a_status(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(error, OwnError) == 1
    assert capsys.readouterr() == ("", f"tapewire: {line}\n")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (LimitError("depth", 51, 50), "depth: 51 asked for, the limit is 50"),
        (ExceptionGroup("", [LimitError("depth", 51, 50)]), "depth: 51 asked for, the limit is 50"),
        (BadValueError("--x is odd"), "--x is odd"),
    ],
)
def test_a_bad_value_of_an_option_is_one_line_and_status_2(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_program(raises(error), OwnError, misuse=(BadValueError,))
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", f"tapewire: {line}\n")


@pytest.mark.parametrize(
    "error", [OwnError("x"), ExceptionGroup("x", [OwnError("x"), RefusedError(404, "")]), KeyError("x")]
)
def test_an_unexpected_error_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)):
        run_program(raises(error))


def test_an_interrupt_before_the_handlers_are_in_place_is_no_traceback() -> None:
    assert outcome(KeyboardInterrupt()) == 130


def test_every_error_of_the_client_is_expected(capsys: pytest.CaptureFixture[str]) -> None:
    class NewestError(TapewireError):
        pass

    assert outcome(NewestError("later")) == 1
    assert capsys.readouterr().err == "tapewire: later\n"


def test_fail_says_one_line_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        fail("wrong", 2)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "tapewire: wrong\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_in_order_and_is_no_error(number: signal.Signals) -> None:
    steps = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("cleaned up")

    handlers = signal.getsignal(number)
    run_program(until_stopped(work()))
    assert steps == ["cleaned up"]
    assert signal.getsignal(number) == handlers


def test_an_error_while_ending_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(10):
                await asyncio.Event().wait()
        finally:
            raise RefusedError(500, "at the end")

    with pytest.raises(SystemExit):
        run_program(until_stopped(work()))
    assert "at the end" in capsys.readouterr().err


def test_cancelled_from_outside_it_is_cancelled() -> None:
    async def main() -> None:
        inner = asyncio.create_task(until_stopped(asyncio.Event().wait()))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        inner.cancel()
        await asyncio.wait([inner])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
