"""Commands of the order socket. Source: reference of commands, section 4.

Prices are exact decimals, quantities whole lots. Order numbers exceed 2^53: texts, but older clients
send them as JSON integers, so ``str(command.order_id)`` is the number.
"""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation
from typing import ClassVar

import msgspec

from tapewire.model import UNSET, Condition, Exchange, Maybe, OrderType, Side, StopType, TimeInForce
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.errors import BadRequestError
from tapewire.protocol.limits import (
    COMMENT_CHARACTERS_MAX,
    ICEBERG_VARIANCE_PERCENT_MAX,
    PRICE_DIGITS_MAX,
    PROTECTING_SECONDS_MAX,
    QUANTITY_LOTS_MAX,
    UNIX_SECONDS_MAX,
)
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.reading import Envelope, WireRequest, read_fields, write_request

__all__ = [
    "COMMANDS",
    "Authorize",
    "CommandPing",
    "CreateLimit",
    "CreateMarket",
    "CreateStop",
    "CreateStopLimit",
    "DeleteLimit",
    "DeleteMarket",
    "DeleteStop",
    "DeleteStopLimit",
    "InstrumentRef",
    "OrderCommand",
    "UpdateLimit",
    "UpdateMarket",
    "UpdateStop",
    "UpdateStopLimit",
    "UserRef",
    "command_bytes",
    "created",
    "deleted",
    "number_problem",
    "price_problem",
    "read_command",
    "updated",
]


class InstrumentRef(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    symbol: str
    exchange: Exchange
    instrument_group: Maybe[str | None] = UNSET


class UserRef(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    portfolio: str


class Authorize(WireRequest, frozen=True, kw_only=True):
    """Give this connection the rights of a token; sent again for each new token."""

    token: str = ""


class CommandPing(WireRequest, frozen=True, kw_only=True):
    confirm: Maybe[bool | None] = UNSET


class OrderCommand(WireRequest, frozen=True, kw_only=True):
    """What all commands about orders have. A guid that was handled before is not executed again."""

    user: UserRef
    check_duplicates: bool = True


class _Body(OrderCommand, frozen=True, kw_only=True):
    """The whole description of an order, as creating and updating commands carry it."""

    side: Side
    quantity: int
    instrument: InstrumentRef
    #: Older spelling of ``instrument.instrumentGroup``, which wins where both are given.
    board: Maybe[str | None] = UNSET
    comment: Maybe[str | None] = UNSET
    allow_margin: Maybe[bool | None] = UNSET

    @property
    def board_code(self) -> str:
        """The board asked for; empty: the primary one."""
        return self.instrument.instrument_group or self.board or ""

    def problem(self) -> str | None:
        if not 1 <= self.quantity <= QUANTITY_LOTS_MAX:
            return "Invalid or unsupported quantity"
        if not self.instrument.exchange.known:
            return "Invalid or unsupported instrument.exchange"
        if self.comment and len(self.comment) > COMMENT_CHARACTERS_MAX:
            return "Invalid or unsupported comment"
        return None


class _Conditional(_Body, frozen=True, kw_only=True):
    """An order that the broker keeps until the market price meets the condition."""

    condition: Condition
    trigger_price: Decimal
    #: When the order lapses, Unix s UTC; 0: never.
    stop_end_unix_time: int
    #: How long the condition must hold, 1..300.
    protecting_seconds: Maybe[int | None] = UNSET
    #: False: kept inactive, for a group.
    activate: Maybe[bool | None] = UNSET

    def problem(self) -> str | None:
        if not 0 <= self.stop_end_unix_time <= UNIX_SECONDS_MAX:
            return "Invalid or unsupported stopEndUnixTime"
        seconds = self.protecting_seconds
        if isinstance(seconds, int) and not 1 <= seconds <= PROTECTING_SECONDS_MAX:
            return "Invalid or unsupported protectingSeconds"
        return _Body.problem(self) or price_problem(self.trigger_price, "triggerPrice")


_PRICE_CONTEXT = Context(prec=2 * PRICE_DIGITS_MAX)
_PRICE_STEP = Decimal(1).scaleb(-PRICE_DIGITS_MAX)


def price_problem(price: Decimal, name: str = "price") -> str | None:
    """Say what is wrong with a price, None if nothing is."""
    # A price of a million digits or of the exponent 999999 is a number too, and would be somebody's surprise.
    problem = f"Invalid or unsupported {name}"
    if not price.is_finite() or price <= 0:
        return problem
    try:
        is_exact = price.quantize(_PRICE_STEP, context=_PRICE_CONTEXT) == price
    except InvalidOperation:
        return problem
    return None if is_exact else problem


def _iceberg_problem(quantity: int, fixed: object, variance: object = UNSET) -> str | None:
    if isinstance(fixed, int) and not 1 <= fixed < quantity:
        return "Invalid or unsupported icebergFixed"
    if isinstance(variance, Decimal) and not (
        variance.is_finite() and 0 <= variance <= ICEBERG_VARIANCE_PERCENT_MAX
    ):
        return "Invalid or unsupported icebergVariance"
    return None


def number_problem(number: str | int) -> str | None:
    """Say what is wrong with the number of an order, None if nothing is."""
    if isinstance(number, int):
        is_number = 0 <= number < 2**63
    else:
        is_number = 0 < len(number) <= 20 and number.isascii() and number.isdigit()
    return None if is_number else "Invalid or unsupported orderId"


# --- create ---------------------------------------------------------------------------------------------


class CreateMarket(_Body, frozen=True, kw_only=True):
    TYPE: ClassVar = OrderType.MARKET
    time_in_force: Maybe[TimeInForce | None] = UNSET


class CreateLimit(_Body, frozen=True, kw_only=True):
    TYPE: ClassVar = OrderType.LIMIT
    price: Decimal
    time_in_force: Maybe[TimeInForce | None] = UNSET
    #: Visible part, lots.
    iceberg_fixed: Maybe[int | None] = UNSET
    #: Random change of the visible part, per cent.
    iceberg_variance: Maybe[Decimal | None] = UNSET

    def problem(self) -> str | None:
        return (
            _Body.problem(self)
            or price_problem(self.price)
            or _iceberg_problem(self.quantity, self.iceberg_fixed, self.iceberg_variance)
        )


class CreateStop(_Conditional, frozen=True, kw_only=True):
    """When fired it becomes a market order."""

    TYPE: ClassVar = StopType.STOP


class CreateStopLimit(_Conditional, frozen=True, kw_only=True):
    """When fired it becomes a limit order at ``price``."""

    TYPE: ClassVar = StopType.STOP_LIMIT
    price: Decimal
    time_in_force: Maybe[TimeInForce | None] = UNSET
    iceberg_fixed: Maybe[int | None] = UNSET
    iceberg_variance: Maybe[Decimal | None] = UNSET

    def problem(self) -> str | None:
        return (
            _Conditional.problem(self)
            or price_problem(self.price)
            or _iceberg_problem(self.quantity, self.iceberg_fixed, self.iceberg_variance)
        )


# --- update: cancel the order and make a new one, with a new number, from the whole description given ---


class UpdateMarket(CreateMarket, frozen=True, kw_only=True):
    order_id: str | int

    def problem(self) -> str | None:
        return CreateMarket.problem(self) or number_problem(self.order_id)


class UpdateLimit(_Body, frozen=True, kw_only=True):
    """The time in force of the old order stays."""

    TYPE: ClassVar = OrderType.LIMIT
    order_id: str | int
    price: Decimal
    iceberg_fixed: Maybe[int | None] = UNSET

    def problem(self) -> str | None:
        return (
            _Body.problem(self)
            or price_problem(self.price)
            or _iceberg_problem(self.quantity, self.iceberg_fixed)
            or number_problem(self.order_id)
        )


class UpdateStop(CreateStop, frozen=True, kw_only=True):
    order_id: str | int

    def problem(self) -> str | None:
        return CreateStop.problem(self) or number_problem(self.order_id)


class UpdateStopLimit(_Conditional, frozen=True, kw_only=True):
    TYPE: ClassVar = StopType.STOP_LIMIT
    order_id: str | int
    price: Decimal
    time_in_force: Maybe[TimeInForce | None] = UNSET
    iceberg_fixed: Maybe[int | None] = UNSET

    def problem(self) -> str | None:
        return (
            _Conditional.problem(self)
            or price_problem(self.price)
            or _iceberg_problem(self.quantity, self.iceberg_fixed)
            or number_problem(self.order_id)
        )


# --- delete ---------------------------------------------------------------------------------------------


class _Delete(OrderCommand, frozen=True, kw_only=True):
    order_id: str | int
    exchange: Exchange

    def problem(self) -> str | None:
        return number_problem(self.order_id)


class DeleteMarket(_Delete, frozen=True, kw_only=True):
    pass


class DeleteLimit(_Delete, frozen=True, kw_only=True):
    pass


class DeleteStop(_Delete, frozen=True, kw_only=True):
    pass


class DeleteStopLimit(_Delete, frozen=True, kw_only=True):
    pass


COMMANDS: dict[str, type[WireRequest]] = {
    "authorize": Authorize,
    "create:market": CreateMarket,
    "create:limit": CreateLimit,
    "create:stop": CreateStop,
    "create:stopLimit": CreateStopLimit,
    "update:market": UpdateMarket,
    "update:limit": UpdateLimit,
    "update:stop": UpdateStop,
    "update:stopLimit": UpdateStopLimit,
    "delete:market": DeleteMarket,
    "delete:limit": DeleteLimit,
    "delete:stop": DeleteStop,
    "delete:stopLimit": DeleteStopLimit,
    "ping": CommandPing,
}
_BY_OPCODE = {opcode.casefold(): command for opcode, command in COMMANDS.items()}
_OPCODE_OF = {command: opcode for opcode, command in COMMANDS.items()}


def read_command(envelope: Envelope, message: bytes) -> WireRequest:
    """Read the command that an envelope announces.

    Raises:
        BadRequestError: Unknown opcode, or a field that is missing or has a value it cannot have.
    """
    known = _BY_OPCODE.get(envelope.opcode.casefold())
    if known is None:
        raise BadRequestError(envelope.guid, ResultCode.BAD_REQUEST, f"Unknown opcode {envelope.opcode[:64]}")
    return read_fields(known, envelope, message)


def command_bytes(command: WireRequest) -> bytes:
    """Write a command as the broker reads it."""
    return write_request(_OPCODE_OF[type(command)], command)


def created(guid: str, order_number: str) -> SystemMessage:
    """The answer to a command that made an order."""
    text = f"An order '{order_number}' has been created."
    return SystemMessage(guid, ResultCode.OK, text, order_number)


def updated(guid: str, order_number: str) -> SystemMessage:
    """The answer to an update; the number is that of the new order."""
    text = f"An order has been updated. New order Id is '{order_number}'."
    return SystemMessage(guid, ResultCode.OK, text, order_number)


def deleted(guid: str, order_number: str) -> SystemMessage:
    """The answer to a cancellation."""
    text = f"An order '{order_number}' has been deleted."
    return SystemMessage(guid, ResultCode.OK, text, order_number)
