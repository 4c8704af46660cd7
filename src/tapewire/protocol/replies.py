"""What the order socket answers where the reference leaves the text open. Clients look at the code."""

from __future__ import annotations

import re

from tapewire.model import UNSET, Done, Refused, TradingCode
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.messages import SystemMessage

__all__ = [
    "ALREADY_HANDLED",
    "OUTCOME_UNKNOWN",
    "code_text",
    "refused",
    "repeated",
    "trading_code_of",
    "unavailable",
    "unknown_outcome",
]

ALREADY_HANDLED = "A command with such guid was already handled and is not executed again"
OUTCOME_UNKNOWN = "The outcome is unknown"


def code_text(code: int) -> str:
    """Return a trading-system code as the broker writes it: ``OrderToCancelNotFound (404)``."""
    try:
        return f"{TradingCode(code).wire_name} ({code})"
    except ValueError:
        return str(code)


_NUMBERED = re.compile(r"\s*(?:[A-Za-z]+ \((\d{1,6})\)|(\d{1,6}))\s*(?::|$)")
_NAMED = re.compile(r"\s*([A-Za-z]+)\s*(?::|$)")


def trading_code_of(text: str) -> int | None:
    """Return the trading-system code that a text begins with, None if it begins with none.

    The broker writes a number, a name, or a name with the number: ``404``, ``OrderToCancelNotFound``,
    ``OrderToCancelNotFound (404)``.
    """
    numbered = _NUMBERED.match(text)
    if numbered is not None:
        return int(numbered[1] or numbered[2])
    named = _NAMED.match(text)
    return None if named is None else _CODES.get(named[1].casefold())


_CODES = {code.wire_name.casefold(): int(code) for code in TradingCode}


def refused(guid: str, refusal: Refused) -> SystemMessage:
    """The answer to a command that the venue did not take."""
    return SystemMessage(guid, ResultCode.BAD_REQUEST, f"{code_text(refusal.code)}: {refusal.reason}")


def repeated(guid: str, first: Done | Refused) -> SystemMessage:
    """The answer to a guid that was handled before: never a success, with what became of the first.

    Programs that count their guids anew after each start would take a success for that of the new command.
    """
    if isinstance(first, Refused):
        text = f"{ALREADY_HANDLED}; it was refused: {code_text(first.code)}: {first.reason}"
        return SystemMessage(guid, ResultCode.BAD_REQUEST, text)
    text = f"{ALREADY_HANDLED}; it was done, order '{first.order_number}'"
    return SystemMessage(guid, ResultCode.BAD_REQUEST, text, first.order_number or UNSET)


def unavailable(guid: str, reason: str) -> SystemMessage:
    """The answer while the venue takes no commands: nothing was done and nothing will be."""
    return SystemMessage(guid, ResultCode.UNAVAILABLE, f"Nothing was done: {reason}")


def unknown_outcome(guid: str, reason: str) -> SystemMessage:
    """The answer to a command of which nobody knows how it ended."""
    code = code_text(TradingCode.COMMAND_RESPONSE_TIMEOUT)
    return SystemMessage(guid, ResultCode.TIMED_OUT, f"{code}: {reason}. {OUTCOME_UNKNOWN}")
