"""What the client logs in a program without logging says who speaks; programs with handlers get it as it is."""

from __future__ import annotations

import io
import logging
import re

import pytest

from tapewire.client.bare_log import SaysWhoSpeaks


def logger(name: str, *, propagate: bool) -> logging.Logger:
    made = logging.getLogger(name)
    made.propagate = propagate
    made.addFilter(SaysWhoSpeaks())
    return made


def test_without_a_handler_time_and_name_stand_before_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(logging, "lastResort", logging.StreamHandler(printed))
    # Cut off from the root, where pytest has handlers.
    logger("bare_log.alone", propagate=False).warning("%s: %d%% dropped", "trades:SBER", 29)
    assert re.fullmatch(r"\d\d:\d\d:\d\d tapewire WARNING: trades:SBER: 29% dropped\n", printed.getvalue())


def test_with_handlers_a_record_stays_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    logger("bare_log.heard", propagate=True).warning("%s dropped", 3)
    (record,) = caplog.records
    assert (record.msg, record.args) == ("%s dropped", (3,))
