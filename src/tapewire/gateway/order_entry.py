"""Order entry: who may send commands, and how they reach the venue, whichever door they came through."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from tapewire.model import Command, CommandKey, Outcome, Refused, TradingCode
from tapewire.ports.venue import CommandSink, OutcomeUnknownError
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.tokens import Claims, Scope

__all__ = ["COMMAND_DEADLINE_S", "NoAnswer", "OrderEntry", "asks_for_nothing", "check_portfolio", "check_scope"]

log = logging.getLogger("tapewire.gateway")

#: How long the venue may take for a command. Clients in the field give up after three seconds.
COMMAND_DEADLINE_S = 5.0

_NO_SUCH_ORDER = frozenset(
    {
        TradingCode.EXCHANGE_ORDER_NOT_FOUND,
        TradingCode.ORDER_TO_MODIFY_NOT_FOUND,
        TradingCode.ORDER_TO_CANCEL_NOT_FOUND,
    }
)
#: Characters of a portfolio that a refusal repeats.
PORTFOLIO_SHOWN = 80
_RIGHTS = {
    Scope.ORDERS_READ: "to read orders",
    Scope.ORDERS_CREATE: "to create orders",
    Scope.TRADES: "to read trades",
    Scope.PERSONAL: "to read personal data",
    Scope.STATS: "to read history",
}


class NoAnswer(NamedTuple):
    """The venue has not said how a command ended: it may have been carried out or not."""

    reason: str


class OrderEntry:
    """Hands commands to the venue, each with a deadline."""

    def __init__(self, sink: CommandSink) -> None:
        self._sink = sink

    async def submit(self, command: Command, key: CommandKey | None) -> Outcome | NoAnswer:
        """Return how a command ended, as far as the venue says so in time."""
        try:
            async with asyncio.timeout(COMMAND_DEADLINE_S):
                return await self._sink.submit(command, key)
        except TimeoutError:
            log.error("%s: no answer of the venue within %g s", type(command).__name__, COMMAND_DEADLINE_S)
            return NoAnswer(f"The venue did not answer within {COMMAND_DEADLINE_S:g} s")
        except OutcomeUnknownError as error:
            return NoAnswer(str(error))
        except Exception as error:
            log.error("%s: the venue has failed", type(command).__name__, exc_info=error)
            return NoAnswer("The venue has failed")


def asks_for_nothing(outcome: Outcome | NoAnswer) -> bool:
    """Return whether a command was about an order that does not exist."""
    return isinstance(outcome, Refused) and outcome.code in _NO_SUCH_ORDER


def check_scope(guid: str, claims: Claims, scope: str) -> None:
    """Look whether a token carries a right.

    Raises:
        BadRequestError: 403, it does not.
    """
    if not claims.may(scope):
        raise BadRequestError(guid, ResultCode.FORBIDDEN, f"The token carries no right {_RIGHTS[scope]}")


def check_portfolio(guid: str, claims: Claims, portfolio: str) -> None:
    """Look whether a token is for a portfolio.

    Raises:
        BadRequestError: 403, it is not.
    """
    if portfolio not in claims.portfolio_list:
        raise BadRequestError(
            guid, ResultCode.FORBIDDEN, f"The portfolio {portfolio[:PORTFOLIO_SHOWN]} is not in the token"
        )
