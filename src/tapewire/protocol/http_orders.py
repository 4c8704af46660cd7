"""Orders over HTTP: parameters, bodies, answers. Source: reference of HTTP, section 6.

Bodies are the commands of the order socket without what stands elsewhere: the opcode and the number of the order
in the path, the guid in a header. They are read as tolerantly: keys in any letter case, unknown ones ignored, an
exchange that is left out is ``MOEX``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeVar

import msgspec

from tapewire.model import UNSET, Condition, Exchange, GroupedType, GroupPolicy, Maybe, Record, Side, Wire
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.commands import (
    CreateStop,
    CreateStopLimit,
    InstrumentRef,
    OrderCommand,
    UpdateStop,
    UpdateStopLimit,
    UserRef,
    number_problem,
    price_problem,
)
from tapewire.protocol.errors import UNREADABLE, BadRequestError, NotJsonError
from tapewire.protocol.formats import write_json
from tapewire.protocol.http_requests import HttpRequest, Number
from tapewire.protocol.limits import GROUP_ORDERS_MAX, HTTP_ESTIMATES_MAX, QUANTITY_LOTS_MAX
from tapewire.protocol.reading import Envelope, WireRequest, camel, read_fields
from tapewire.protocol.words import Format

__all__ = [
    "ALREADY_HANDLED",
    "AskGroup",
    "AskGroups",
    "Cancel",
    "CancelAll",
    "CancelBefore",
    "EstimateBody",
    "GroupBody",
    "GroupMade",
    "GroupedBody",
    "OrderTaken",
    "Place",
    "PlaceBefore",
    "Replace",
    "ReplaceBefore",
    "ReplaceStop",
    "read_estimate",
    "read_estimates",
    "read_group",
    "read_old_stop",
    "read_order",
]

T = TypeVar("T", bound=WireRequest)

ALREADY_HANDLED = "Request with such X-ALOR-REQID was already handled. We return the response to that request."


# --- parameters -----------------------------------------------------------------------------------------


class Place(HttpRequest, frozen=True, kw_only=True, rename=camel):
    pass


class Replace(HttpRequest, frozen=True, kw_only=True, rename=camel):
    order_id: Number


class ReplaceStop(HttpRequest, frozen=True, kw_only=True, rename=camel):
    stop_order_id: Number

    @property
    def order_id(self) -> int:
        """The number of the order."""
        return self.stop_order_id


class PlaceBefore(HttpRequest, frozen=True, kw_only=True, rename=camel):
    """Of the old calls. The code of the trade server is not looked at."""

    trade_server_code: str


class ReplaceBefore(HttpRequest, frozen=True, kw_only=True, rename=camel):
    """Of the old calls."""

    trade_server_code: str
    order_id: Number


class Cancel(HttpRequest, frozen=True, kw_only=True, rename=camel):
    order_id: Number
    portfolio: str
    exchange: Exchange
    #: Whether the number is one of conditional orders.
    stop: bool
    json_response: bool = False
    format: Format = Format.SIMPLE


class CancelBefore(HttpRequest, frozen=True, kw_only=True, rename=camel):
    """Of the old calls."""

    trade_server_code: str
    order_id: Number
    portfolio: str
    stop: bool


class CancelAll(HttpRequest, frozen=True, kw_only=True, rename=camel):
    exchange: Exchange
    portfolio: str
    #: None: direct and conditional orders.
    stop: bool | None = None


class AskGroups(HttpRequest, frozen=True, kw_only=True, rename=camel):
    pass


class AskGroup(HttpRequest, frozen=True, kw_only=True, rename=camel):
    order_group_id: str


# --- answers --------------------------------------------------------------------------------------------


class OrderTaken(Record, frozen=True, kw_only=True, gc=False):
    """The venue has taken an order."""

    message: Annotated[str, Wire("message")]
    order_number: Annotated[str, Wire("orderNumber")]


class GroupMade(Record, frozen=True, kw_only=True, gc=False):
    """The venue has made a group."""

    message: Annotated[str, Wire("message")]
    group_id: Annotated[str, Wire("groupId")]


# --- bodies ---------------------------------------------------------------------------------------------


class EstimateBody(WireRequest, frozen=True, kw_only=True):
    """An order to be weighed: its lots, or the money that may be spent."""

    portfolio: str
    ticker: str
    exchange: Exchange = Exchange.MOEX
    price: Maybe[Decimal | None] = UNSET
    lot_quantity: Maybe[int | None] = UNSET
    budget: Maybe[Decimal | None] = UNSET
    board: Maybe[str | None] = UNSET
    include_limit_orders: bool = False

    def problem(self) -> str | None:
        if isinstance(self.lot_quantity, int) and not 0 <= self.lot_quantity <= QUANTITY_LOTS_MAX:
            return "Invalid or unsupported lotQuantity"
        for name, value in (("price", self.price), ("budget", self.budget)):
            # Terminals send 0 for what they leave open.
            if isinstance(value, Decimal) and value != 0 and (problem := price_problem(value, name)):
                return problem
        return None


class GroupedBody(msgspec.Struct, frozen=True, kw_only=True, rename=camel):
    """One order of a group."""

    portfolio: str
    exchange: Exchange
    order_id: str | int
    type: GroupedType


class GroupBody(WireRequest, frozen=True, kw_only=True):
    orders: tuple[GroupedBody, ...]
    execution_policy: GroupPolicy

    def problem(self) -> str | None:
        if not 1 <= len(self.orders) <= GROUP_ORDERS_MAX:
            return f"A group has between 1 and {GROUP_ORDERS_MAX} orders"
        for order in self.orders:
            if not order.exchange.known:
                return "Invalid or unsupported orders.exchange"
            if not order.type.known:
                return "Invalid or unsupported orders.type"
            if number_problem(order.order_id):
                return "Invalid or unsupported orders.orderId"
        return None


Fields = dict[str, msgspec.Raw]

_read_keys = msgspec.json.Decoder(Fields).decode
_read_any = msgspec.json.Decoder(msgspec.Raw).decode
_read_text = msgspec.json.Decoder(str).decode
_read_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_NOBODY = Envelope("", "", "")
_DEFAULT_EXCHANGE = msgspec.Raw(write_json(Exchange.MOEX))
_NO_END = msgspec.Raw(b"0")
_OLD_NAMES = {"orderendunixtime": "stopendunixtime"}


def read_order(command: type[OrderCommand], body: bytes, order_id: int | None = None) -> OrderCommand:
    """Read the body of an order that is placed, or put in the place of another.

    Raises:
        BadRequestError: A field is missing or has a value that the command does not take; no guid.
        NotJsonError: No JSON.
    """
    return _read(command, _order_fields(body, order_id))


def read_old_stop(
    command: type[CreateStop | CreateStopLimit | UpdateStop | UpdateStopLimit],
    body: bytes,
    *,
    is_loss: bool,
    order_id: int | None = None,
) -> OrderCommand:
    """Read the body of an old call; side and kind say what the condition is.

    Raises:
        BadRequestError: A field is missing or has a value that the command does not take; no guid.
        NotJsonError: No JSON.
    """
    fields = _order_fields(body, order_id)
    fields = {_OLD_NAMES.get(name, name): raw for name, raw in fields.items()}
    fields.setdefault("stopendunixtime", _NO_END)
    is_sale = _text(fields.get("side")).casefold() == Side.SELL
    condition = Condition.LESS_OR_EQUAL if is_sale == is_loss else Condition.MORE_OR_EQUAL
    fields["condition"] = msgspec.Raw(write_json(condition))
    return _read(command, fields)


def read_estimate(body: bytes) -> EstimateBody:
    """Read one order to be weighed.

    Raises:
        BadRequestError: A field is missing or has a value it cannot have.
        NotJsonError: No JSON.
    """
    return _read(EstimateBody, _fields(body))


def read_estimates(body: bytes) -> tuple[EstimateBody, ...]:
    """Read the orders to be weighed, ``HTTP_ESTIMATES_MAX`` at most.

    Raises:
        BadRequestError: Too many of them, or one that cannot be read.
        NotJsonError: No JSON.
    """
    _check_json(body)
    try:
        parts = _read_list(body)
    except UNREADABLE as error:
        raise BadRequestError("", ResultCode.BAD_REQUEST, "The body is not a JSON array") from error
    if len(parts) > HTTP_ESTIMATES_MAX:
        text = f"Too many orders to estimate: at most {HTTP_ESTIMATES_MAX}"
        raise BadRequestError("", ResultCode.BAD_REQUEST, text)
    return tuple(read_estimate(bytes(part)) for part in parts)


def read_group(body: bytes) -> GroupBody:
    """Read the orders and the policy of a group.

    Raises:
        BadRequestError: A field is missing or has a value it cannot have.
        NotJsonError: No JSON.
    """
    return _read(GroupBody, _fields(body))


def _order_fields(body: bytes, order_id: int | None) -> Fields:
    fields = _fields(body)
    for name in ("guid", "orderid", "checkduplicates"):
        # Older clients send some of them; they stand elsewhere, and in order files they are long out of date.
        fields.pop(name, None)
    if order_id is not None:
        fields["orderid"] = msgspec.Raw(write_json(str(order_id)))
    for name, kind in (("instrument", InstrumentRef), ("user", UserRef)):
        if bytes(fields.get(name, b"")).startswith(b"{"):
            inner = _keys(bytes(fields[name]))
            if kind is InstrumentRef and bytes(inner.get("exchange", b"null")) == b"null":
                inner["exchange"] = _DEFAULT_EXCHANGE
            fields[name] = msgspec.Raw(write_json(_spelled(kind, inner)))
    return fields


def _read(kind: type[T], fields: Fields) -> T:
    fields["guid"] = msgspec.Raw(b'""')
    return read_fields(kind, _NOBODY, write_json(_spelled(kind, fields)))


def _fields(body: bytes) -> Fields:
    """Return the keys of a body, folded."""
    _check_json(body)
    return _keys(body)


def _check_json(body: bytes) -> None:
    try:
        # The library looks at no byte of a text that nobody reads.
        body.decode()
        _read_any(body)
    except UNREADABLE as error:
        raise NotJsonError("", ResultCode.BAD_REQUEST, "The body is not valid JSON") from error


def _keys(json_object: bytes) -> Fields:
    try:
        return {name.casefold(): raw for name, raw in _read_keys(json_object).items()}
    except UNREADABLE as error:
        raise BadRequestError("", ResultCode.BAD_REQUEST, "The body is not a JSON object") from error


def _text(raw: msgspec.Raw | None) -> str:
    """Return a JSON text; empty for anything else, which is refused when the fields are read."""
    try:
        return _read_text(bytes(raw)) if raw is not None else ""
    except UNREADABLE:
        return ""


def _spelled(kind: type[msgspec.Struct], fields: Fields) -> Fields:
    names = {encoded.casefold(): encoded for encoded in kind.__struct_encode_fields__}
    return {names[name]: raw for name, raw in fields.items() if name in names}
