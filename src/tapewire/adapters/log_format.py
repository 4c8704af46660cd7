"""Logs as text for people or as JSON for programs, with every token masked on its way out.

Masking is the last step of writing a line, behind formatting: whatever has put a token into a message, a field or
a traceback, it does not come out.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from urllib.parse import quote

from pythonjsonlogger.json import JsonFormatter

from tapewire.protocol.tokens import REFRESH_TOKEN_PREFIX

__all__ = ["MASK", "LogFormat", "MaskingFormatter", "masked", "write_logs"]

MASK = "***"
#: The beginning of a JSON object in base64 and all that a token may go on with, also where it is cut off.
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,2}")
#: A refresh token that tapewire has made.
_REFRESH = re.compile(re.escape(REFRESH_TOKEN_PREFIX) + r"[A-Za-z0-9_-]{6,}")
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class _TextFormatter(logging.Formatter):
    """One line for people: the message, then its fields as ``key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields: dict[str, object] = getattr(record, "fields", {})
        if not fields:
            return line
        first, newline, rest = line.partition("\n")
        shown = " ".join(f"{key}={_shown(value)}" for key, value in fields.items() if value is not None)
        return f"{first} {shown}{newline}{rest}"


class _JsonFormatter(JsonFormatter):
    """One object a line: time (UTC), level, logger, message, then the fields beside them."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
        )

    def process_log_record(self, log_data: dict[str, object]) -> dict[str, object]:
        fields = log_data.pop("fields", None)
        # uvicorn's message once more, with codes for a terminal.
        log_data.pop("color_message", None)
        if isinstance(fields, dict):
            log_data.update(fields)
        return super().process_log_record(log_data)


class MaskingFormatter(logging.Formatter):
    """Writes what another formatter makes, without tokens: those it was told, and all that look like ours."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner
        self._known: Counter[str] = Counter()

    def learn(self, token: str) -> None:
        """Mask a token from now on, also as it stands in JSON or in an address."""
        self._known.update(_spellings(token))

    def forget(self, token: str) -> None:
        """Undo one :meth:`learn`."""
        self._known -= Counter(_spellings(token))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, masked."""
        line = _REFRESH.sub(MASK, _JWT.sub(MASK, self._inner.format(record)))
        for token in self._known:
            line = line.replace(token, MASK)
        return line


def write_logs(log_format: LogFormat = LogFormat.TEXT, level: str = "WARNING") -> None:
    """Have this program write its logs to standard error, in the place of whatever did before."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        MaskingFormatter(_JsonFormatter() if log_format is LogFormat.JSON else _TextFormatter(_TEXT))
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


@contextlib.contextmanager
def masked(*tokens: str) -> Iterator[None]:
    """Mask tokens in all that this program logs while the block runs."""
    formatters = [
        handler.formatter
        for handler in logging.getLogger().handlers
        if isinstance(handler.formatter, MaskingFormatter)
    ]
    for formatter in formatters:
        for token in tokens:
            formatter.learn(token)
    try:
        yield
    finally:
        for formatter in formatters:
            for token in tokens:
                formatter.forget(token)


def _spellings(token: str) -> set[str]:
    return {token, json.dumps(token)[1:-1], quote(token, safe="")} - {""}


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if " " in text or not text or not text.isprintable() else text
