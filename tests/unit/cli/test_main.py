"""Options of the command line that say where the broker is."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tapewire.cli.main import app


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a system, whose environment names another broker."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("TAPEWIRE_URL", "http://127.0.0.1:1")
    monkeypatch.delenv("TAPEWIRE_REFRESH_TOKEN", raising=False)


COMMANDS = [["watch", "book:SBER"], ["token"], ["symbols"]]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("contour", "http"), [("production", "https://api.alor.ru"), ("TEST", "https://apidev.alor.ru")]
)
def test_a_contour_is_where_the_broker_is_whatever_the_environment_says(
    command: list[str], contour: str, http: str
) -> None:
    ended = run(*command, "--contour", contour)
    assert ended.exit_code == 1
    # Without a refresh token nobody is asked.
    assert ended.stderr.startswith(f"tapewire: no refresh token for {http}: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_two_places_at_once_are_one_line_and_status_2(command: list[str]) -> None:
    ended = run(*command, "--url", "http://127.0.0.1:1", "--contour", "test")
    assert (ended.exit_code, ended.stderr) == (2, "tapewire: --url and --contour say two places: give one\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_contour_that_does_not_exist_is_refused(command: list[str]) -> None:
    assert run(*command, "--contour", "moon").exit_code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_the_address_of_the_broker_itself_is_one_line_that_names_the_contour(command: list[str]) -> None:
    ended = run(*command, "--url", "https://api.alor.ru", "--refresh-token", "x")
    assert ended.exit_code == 2
    assert ended.stderr.startswith("tapewire: api.alor.ru ")
    assert "--contour production" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_word_that_an_option_does_not_have_is_said_in_words_for_people() -> None:
    ended = run("up", "--log-level", "chatty")
    assert ended.exit_code == 2
    assert "chatty" in ended.stderr
    assert "Value error" not in ended.stderr


@pytest.mark.parametrize("url", ["ws://x", "http://user:pw@127.0.0.1:1", "nonsense"])
@pytest.mark.parametrize("command", [*COMMANDS, ["sessions"]])
def test_an_address_that_is_none_is_one_line_and_status_2(command: list[str], url: str) -> None:
    ended = run(*command, "--url", url)
    assert ended.exit_code == 2
    assert ended.stderr.startswith("tapewire: ")
    assert ended.stderr.count("\n") == 1
    assert "pw" not in ended.stderr.replace("tapewire", "")


@pytest.mark.parametrize("command", [*COMMANDS, ["portfolio"], ["order", "list"], ["order", "cancel", "1"]])
def test_the_way_to_the_broker_may_be_said_to_any_command(command: list[str], tmp_path: Path) -> None:
    ended = run(*command, "--refresh-token", "x", "--ca-file", str(tmp_path / "nobody.pem"))
    assert ended.exit_code == 1
    assert "nobody.pem" in ended.stderr
    ended = run(*command, "--refresh-token", "x", "--proxy", "ftp://proxy.example")
    assert ended.exit_code == 1
    assert ended.stderr.startswith("tapewire: the address of the proxy is not like ")
    assert ended.stderr.count("\n") == 1
