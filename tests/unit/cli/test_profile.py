"""``tapewire profile``: what it does and says, and that it shows no secret."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tapewire.cli.main import app
from tapewire.configuration import find_configuration

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for name in ("URL", "REFRESH_TOKEN"):
        monkeypatch.delenv(f"TAPEWIRE_{name}", raising=False)
    return tmp_path / "tapewire"


def run(*arguments: str, typed: str = "") -> Result:
    result = CliRunner().invoke(app, arguments, input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert SECRET not in result.output
    return result


def listed() -> dict[str, dict[str, object]]:
    lines = [json.loads(line) for line in run("profile", "list").stdout.splitlines()]
    return {each["name"]: each for each in lines}


def test_the_life_of_a_profile(folder: Path) -> None:
    added = run(
        "profile",
        "add",
        "desk",
        "--url",
        "http://desk.test",
        "--proxy",
        f"http://u:{SECRET}@host:1",
        typed=f"{SECRET}\n",
    )
    assert added.output == "added desk: http://desk.test, with a token, through http://host:1\n"
    assert stat.S_IMODE((folder / "profiles.toml").stat().st_mode) == 0o600
    assert run("profile", "use", "desk").exit_code == 0
    assert listed()["desk"] == {
        "name": "desk",
        "place": "http://desk.test",
        "token": "file",
        "proxy": "http://host:1",
        "ca_file": None,
        "built_in": False,
        "in_use": True,
    }
    found = find_configuration()
    assert (found.endpoints.http, found.refresh_token.reveal()) == ("http://desk.test", SECRET)
    assert run("profile", "remove", "desk").exit_code == 0
    assert set(listed()) == {"production", "test", "local"}


def test_one_that_is_called_after_a_contour_is_of_it() -> None:
    assert run("profile", "add", "test", typed=SECRET).exit_code == 0
    assert (listed()["test"]["place"], listed()["test"]["token"], listed()["test"]["built_in"]) == (
        "test",
        "file",
        False,
    )
    assert run("profile", "add", "test", "--no-token", "--url", "http://x").exit_code == 0
    assert (listed()["test"]["place"], listed()["test"]["token"]) == ("http://x", None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "desk"], "either a contour or a url"),
        (["add", "a b", "--contour", "test"], "no name of a profile"),
        (["add", "desk", "--contour", "test", "--url", "http://x"], "either a contour or a url"),
        (["add", "desk", "--url", f"http://u:{SECRET}@x"], "no user"),
        (["add", "desk", "--contour", "test", "--proxy", f"ftp://{SECRET}"], "proxy is not like"),
        (["add", "desk", "--contour", "test", "--keyring", "--no-token"], "exclude each other"),
        (["remove", "desk"], "there is no profile"),
        (["use", "desk"], "there is no profile"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: list[str], said: str) -> None:
    result = run("profile", *arguments, typed="token\n")
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("typed", ["", "\n", "a\0b\n", "x" * 5_000])
def test_no_token_is_said(typed: str) -> None:
    result = run("profile", "add", "test", typed=typed)
    assert (result.exit_code, "no refresh token was given" in result.stderr) == (2, True)


def test_a_file_that_is_open_to_others_is_one_line(folder: Path) -> None:
    run("profile", "add", "test", typed=SECRET)
    (folder / "profiles.toml").chmod(0o644)
    for arguments in (["profile", "list"], ["token", "--profile", "test"], ["watch", "book:SBER"]):
        result = run(*arguments)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "is open to others: refused; chmod 600" in result.stderr


@pytest.mark.parametrize(
    "command", [["watch", "book:SBER"], ["token"], ["symbols"], ["portfolio"], ["order", "list"]]
)
def test_every_command_of_the_client_takes_a_profile(command: list[str]) -> None:
    result = run(*command, "--profile", "nobody")
    assert (result.exit_code, "there is no profile 'nobody'" in result.stderr) == (1, True)
    for other in (["--url", "http://x"], ["--contour", "test"]):
        result = run(*command, "--profile", "test", *other)
        assert (result.exit_code, "say two places" in result.stderr) == (2, True)
