"""Logs: lines for people and for programs, and no token in any of them."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import jwt
import pytest

from tapewire.adapters.log_format import LogFormat, masked, write_logs
from tapewire.protocol.tokens import REFRESH_TOKEN_PREFIX, Secret
from unit.gateway.world import KEY

JWT = jwt.encode({"sub": "P1", "exp": 2_000_000_000}, KEY.decode(), algorithm="ES256")
REFRESH = 'refresh-tok"en/of ivan'
log = logging.getLogger("tapewire.test")


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers = handlers
    root.setLevel(level)


def written(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_text_is_one_line_with_the_fields_behind_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs(LogFormat.TEXT, "info")
    log.debug("not shown")
    fields = {"session": 7, "login": None, "reason": "too many messages", "empty": "", "odd": "a\nb"}
    log.info("session ended", extra={"fields": fields})
    [line] = written(capsys)
    assert line.endswith(
        'INFO tapewire.test: session ended session=7 reason="too many messages" empty="" odd="a\\nb"'
    )


def test_json_is_one_object_a_line_with_the_fields_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs(LogFormat.JSON, "debug")
    log.warning(
        "session cut",
        extra={
            "fields": {"session": 7, "login": None, "reason": "многое"},
            "color_message": "\x1b[1msession\x1b[0m cut",
        },
    )
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("%d things failed", 2)
    first, second = map(json.loads, written(capsys))
    time = first.pop("time")
    assert time.endswith("+00:00")
    assert first == {
        "level": "WARNING",
        "logger": "tapewire.test",
        "message": "session cut",
        "session": 7,
        "login": None,
        "reason": "многое",
    }
    assert (second["level"], second["message"]) == ("ERROR", "2 things failed")
    assert "two\nlines" in second["exc_info"]


@pytest.mark.parametrize("form", LogFormat)
def test_no_token_comes_out_wherever_it_was_put(form: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    write_logs(form, "debug")
    with masked(REFRESH, ""):
        log.info("token %s", JWT)
        log.info("GET /ws?token=%s&x=1", JWT)
        log.info(f"cut off: {JWT[:40]}")
        log.info("Bearer " + JWT, extra={"fields": {"guid": JWT, "code": JWT[:25]}})
        log.info("refresh %r", {"token": REFRESH}, extra={"fields": {"token": REFRESH}})
        log.info("quoted refresh-tok%22en%2Fof%20ivan")
        log.info("held %s %r", Secret(JWT), Secret(REFRESH))
        try:
            raise ValueError(JWT, REFRESH)
        except ValueError:
            log.exception("failed")
    text = "\n".join(written(capsys))
    parts = [*JWT.split("."), JWT[:12], "refresh-tok", "of ivan"]
    # The name of a variable in a source line is no secret; the key of the field above is none either.
    assert [part for part in parts if part in text] == []
    assert text.count("***") >= 10
    log.info("what is over is over: %s", "refresh-tok")
    assert "refresh-tok" in written(capsys)[0]


@pytest.mark.parametrize("form", LogFormat)
def test_refresh_tokens_of_ours_are_known_by_how_they_begin(
    form: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    write_logs(form, "debug")
    token = REFRESH_TOKEN_PREFIX + "k3-_" * 10 + "abc"
    log.info("POST /refresh?token=%s&x=1", token, extra={"fields": {"token": token}})
    log.info(f"cut off: {token[:12]}")
    text = "\n".join(written(capsys))
    assert "k3-_" not in text
    assert "&x=1" in text


def test_what_is_no_token_stays(capsys: pytest.CaptureFixture[str]) -> None:
    write_logs(LogFormat.TEXT, "info")
    log.info("eye eyJ SBER 5,000 127.0.0.1:8700 0123456789abcdef0123456789abcdef")
    assert written(capsys)[0].endswith("eye eyJ SBER 5,000 127.0.0.1:8700 0123456789abcdef0123456789abcdef")


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(JWT)
    shown = f"{secret} {secret!r} {secret!s} {[secret]} {{}}".format(secret)
    assert JWT not in shown
    assert (secret.reveal(), bool(secret), bool(Secret(""))) == (JWT, True, False)
    assert secret == Secret(JWT)
    assert secret != Secret("x")
    assert secret != JWT
    with pytest.raises(TypeError):
        vars(secret)


def test_the_log_goes_to_standard_error_in_place_of_what_was(capsys: pytest.CaptureFixture[str]) -> None:
    logging.basicConfig(level="DEBUG", stream=sys.stderr)
    write_logs()
    log.info("no")
    log.warning("once")
    assert len(written(capsys)) == 1
