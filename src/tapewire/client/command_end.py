"""What an answer of the broker says about a command. Pure, and for both doors: ``/cws`` and HTTP.

============================================  =============================================================
answer                                        means
============================================  =============================================================
200 with the number, or where none is needed  taken
200 without the number of a new order         untold: there is an order whose number nobody has said
200 with what is no number                    untold: no later command could name the order
400 with an order number                      untold: the broker says that the guid was handled before
400 with code 900 (no answer in time)         untold
408, 500, 502, 504, every unlisted code       untold
any other of 400..499, 501, 503               rejected: nothing was done
============================================  =============================================================
"""

from __future__ import annotations

import msgspec

from tapewire.client.command_result import Rejected
from tapewire.model import TradingCode
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.replies import trading_code_of

__all__ = ["CommandEnd", "Taken", "Untold", "end_of"]


class Taken(msgspec.Struct, frozen=True):
    """The broker took the command; ``number`` is that of the order, empty where the answer has none."""

    number: str


class Untold(msgspec.Struct, frozen=True):
    """Nobody has said what became of the command."""

    why: str


CommandEnd = Taken | Rejected | Untold

_REQUEST_TIMEOUT = 408
#: Numbers of orders have up to 20 digits, ids of groups 36 characters; nothing says what another exchange has.
_NUMBER_CHARACTERS_MAX = 100


def end_of(guid: str, code: int, text: str, number: str, *, needs_number: bool) -> CommandEnd:
    """Return what an answer says; ``text`` and ``number`` are empty where it has none."""
    if code == ResultCode.OK:
        if number and not _is_number(number):
            if needs_number:
                return Untold("the broker took it and told what is no number")
            number = ""
        return Taken(number) if number or not needs_number else Untold("the broker took it and told no number")
    trading_code = trading_code_of(text)
    is_refusal = code in (ResultCode.NOT_SERVED, ResultCode.UNAVAILABLE) or (
        400 <= code < 500 and code != _REQUEST_TIMEOUT
    )
    if not is_refusal or number or trading_code == TradingCode.COMMAND_RESPONSE_TIMEOUT:
        return Untold(f"the broker answered {code} {text}".rstrip())
    return Rejected(code, text, guid, trading_code)


def _is_number(number: str) -> bool:
    """Whether an order, or a group, can be named so."""
    return len(number) <= _NUMBER_CHARACTERS_MAX and number.isprintable() and " " not in number
