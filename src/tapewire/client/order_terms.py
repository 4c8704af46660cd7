"""What an order is to be, and the commands of the wire that say so. Pure.

Prices are exact decimals, quantities whole lots. What cannot be an order is refused here, before anything is sent.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from tapewire.client.arguments import board_of, flag, refuse, text, whole
from tapewire.client.errors import InvalidOrderError
from tapewire.model import (
    UNSET,
    Condition,
    Exchange,
    GroupedType,
    Order,
    OrderType,
    Side,
    StopOrder,
    StopType,
    TimeInForce,
    Word,
    from_iso,
)
from tapewire.protocol.commands import (
    CreateLimit,
    CreateMarket,
    CreateStop,
    CreateStopLimit,
    DeleteLimit,
    DeleteMarket,
    DeleteStop,
    DeleteStopLimit,
    InstrumentRef,
    OrderCommand,
    UpdateLimit,
    UpdateMarket,
    UpdateStop,
    UpdateStopLimit,
    UserRef,
    number_problem,
)

__all__ = [
    "OrderTerms",
    "callers_comment",
    "create_command",
    "delete_command",
    "mark_of",
    "terms_of",
    "type_of",
    "update_command",
]

_NO_FLOAT = (
    'exact: write Decimal("290.1"), or put the price of a trade on the step by'
    " (await broker.instrument(symbol)).price_nearest(trade.price)"
)

#: How comments begin that this client writes itself: the command's guid follows, by which its order is found.
_MARK_PREFIX = "tapewire:"

_CREATE: dict[GroupedType, type[OrderCommand]] = {
    GroupedType.MARKET: CreateMarket,
    GroupedType.LIMIT: CreateLimit,
    GroupedType.STOP: CreateStop,
    GroupedType.STOP_LIMIT: CreateStopLimit,
}
_UPDATE: dict[GroupedType, type[OrderCommand]] = {
    GroupedType.MARKET: UpdateMarket,
    GroupedType.LIMIT: UpdateLimit,
    GroupedType.STOP: UpdateStop,
    GroupedType.STOP_LIMIT: UpdateStopLimit,
}
_DELETE: dict[GroupedType, type[OrderCommand]] = {
    GroupedType.MARKET: DeleteMarket,
    GroupedType.LIMIT: DeleteLimit,
    GroupedType.STOP: DeleteStop,
    GroupedType.STOP_LIMIT: DeleteStopLimit,
}
_TYPES: dict[Word, GroupedType] = {
    OrderType.MARKET: GroupedType.MARKET,
    OrderType.LIMIT: GroupedType.LIMIT,
    StopType.STOP: GroupedType.STOP,
    StopType.STOP_LIMIT: GroupedType.STOP_LIMIT,
}


class OrderTerms(msgspec.Struct, frozen=True, kw_only=True):
    """The whole description of an order, as commands carry it."""

    type: GroupedType
    portfolio: str
    symbol: str
    side: Side
    #: Whole lots, 1 or more.
    lots: int
    #: Of a limit order, or of the limit order that a conditional one places.
    price: Decimal | None = None
    exchange: Exchange = Exchange.MOEX
    #: Empty: the primary board.
    board: str = ""
    condition: Condition | None = None
    trigger_price: Decimal | None = None
    #: When a conditional order lapses, Unix s UTC; 0: never.
    ends_at_s: int = 0
    #: How long the condition must hold without a break, 1..300.
    protecting_seconds: int | None = None
    #: False: a conditional order that waits for its group.
    is_active: bool = True
    #: None: what the broker takes for none, the day; of an update, that of the old order.
    time_in_force: TimeInForce | None = None
    comment: str | None = None
    allow_margin: bool = False
    #: Visible part; None: all of it.
    iceberg_lots: int | None = None
    #: Random change of the visible part, 0..20; derivatives only.
    iceberg_variance_percent: int | None = None

    def __post_init__(self) -> None:
        whole("lots", self.lots, InvalidOrderError)
        for name in ("price", "trigger_price"):
            price = getattr(self, name)
            if isinstance(price, int) and not isinstance(price, bool):
                msgspec.structs.force_setattr(self, name, Decimal(price))
            elif isinstance(price, float):
                # A float is not the price that somebody typed.
                raise refuse(name, price, _NO_FLOAT, InvalidOrderError)
            elif price is not None and not isinstance(price, Decimal):
                raise refuse(name, price, "a Decimal", InvalidOrderError)
        text("symbol", self.symbol, "the ticker of an instrument", InvalidOrderError)
        text("portfolio", self.portfolio, "the id of a portfolio", InvalidOrderError)
        board_of(self.board, InvalidOrderError)
        if self.comment is not None and not isinstance(self.comment, str):
            raise refuse("comment", self.comment, "a text", InvalidOrderError)
        for name in ("protecting_seconds", "iceberg_lots", "iceberg_variance_percent"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), InvalidOrderError)
        for name in ("allow_margin", "is_active"):
            flag(name, getattr(self, name), InvalidOrderError)

    def __str__(self) -> str:
        price = "at the market" if self.price is None else f"at {self.price:f}"
        trigger = "" if self.trigger_price is None else f" when {self.condition} {self.trigger_price:f}"
        return f"{self.side} {self.lots} {self.symbol} {price}{trigger}"


def mark_of(guid: str) -> str:
    """Return the comment by which the order of a command is found again."""
    return _MARK_PREFIX + guid


def callers_comment(terms: OrderTerms) -> str | None:
    """Return the comment that the caller gave an order; None: there is none, or the mark of its command."""
    return None if (terms.comment or "").startswith(_MARK_PREFIX) else terms.comment


def create_command(terms: OrderTerms, guid: str) -> OrderCommand:
    """Return the command that places an order.

    Raises:
        InvalidOrderError: No order can have these terms.
    """
    kind = _CREATE[terms.type]
    return _checked(kind, terms, guid, _fields(terms, kind))


def update_command(terms: OrderTerms, number: str, guid: str) -> OrderCommand:
    """Return the command that puts an order of these terms in the place of another.

    Raises:
        InvalidOrderError: No order can have these terms, or the number is none.
    """
    kind = _UPDATE[terms.type]
    return _checked(kind, terms, guid, _fields(terms, kind) | {"order_id": number})


def delete_command(
    order_type: GroupedType, number: str, portfolio: str, exchange: Exchange, guid: str
) -> OrderCommand:
    """Return the command that cancels an order.

    Raises:
        InvalidOrderError: The number is none.
    """
    if not isinstance(number, str) or number_problem(number) is not None:
        raise InvalidOrderError(f"{number!r} is no number of an order")
    kind: Any = _DELETE[order_type]
    command: OrderCommand = kind(guid=guid, user=UserRef(portfolio=portfolio), order_id=number, exchange=exchange)
    return command


def type_of(row: Order | StopOrder) -> GroupedType:
    """Return the kind of an order that the broker reports.

    Raises:
        InvalidOrderError: The broker has a kind that this client does not know.
    """
    found = _TYPES.get(row.type)
    if found is None:
        raise InvalidOrderError(f"order {row.id} is of the unknown type {row.type}")
    return found


def terms_of(row: Order | StopOrder) -> OrderTerms:
    """Return the terms under which what is left of an order would be placed anew.

    Rows do not tell ``allow_margin`` and ``is_active``: they are as for a new order.

    Raises:
        InvalidOrderError: The row lacks what an order needs, or nothing of it is left.
    """
    order_type = type_of(row)
    try:
        filled = row.filled_lots if isinstance(row.filled_lots, Decimal) else Decimal(0)
        lots = int(row.quantity_lots - filled)
        conditional: dict[str, Any] = {}
        if isinstance(row, StopOrder):
            conditional = {
                "condition": row.condition,
                "trigger_price": row.stop_price,
                "ends_at_s": int(from_iso(row.ends_at).timestamp()) if row.ends_at else 0,
                "protecting_seconds": row.protecting_seconds or None,
            }
        iceberg = row.iceberg or None
        has_price = order_type in (GroupedType.LIMIT, GroupedType.STOP_LIMIT)
        terms = OrderTerms(
            type=order_type,
            portfolio=row.portfolio,
            symbol=row.symbol,
            exchange=row.exchange,
            board=row.board or "",
            side=row.side,
            lots=lots,
            price=row.price if has_price else None,
            time_in_force=row.time_in_force or None,
            comment=row.comment or None,
            iceberg_lots=iceberg.creation_fixed_lots or None if iceberg is not None else None,
            **conditional,
        )
    except InvalidOrderError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidOrderError(f"the broker does not tell enough of order {row.id}") from error
    if terms.lots < 1:
        raise InvalidOrderError(f"nothing is left of order {row.id}")
    return terms


def _fields(terms: OrderTerms, kind: type[OrderCommand]) -> dict[str, Any]:
    """Return what the command takes of the terms."""
    all_fields: dict[str, Any] = {
        "side": terms.side,
        "quantity": terms.lots,
        "instrument": InstrumentRef(
            symbol=terms.symbol, exchange=terms.exchange, instrument_group=terms.board or UNSET
        ),
        "comment": terms.comment or UNSET,
        "allow_margin": terms.allow_margin or UNSET,
        "price": terms.price,
        "condition": terms.condition,
        "trigger_price": terms.trigger_price,
        "stop_end_unix_time": terms.ends_at_s,
        "protecting_seconds": _sent(terms.protecting_seconds),
        "activate": UNSET if terms.is_active else False,
        "time_in_force": _sent(terms.time_in_force),
        "iceberg_fixed": _sent(terms.iceberg_lots),
        "iceberg_variance": UNSET
        if terms.iceberg_variance_percent is None
        else Decimal(terms.iceberg_variance_percent),
    }
    return {name: value for name, value in all_fields.items() if name in kind.__struct_fields__}


def _checked(kind: Any, terms: OrderTerms, guid: str, fields: dict[str, Any]) -> OrderCommand:
    for name in ("price", "trigger_price", "condition"):
        if name in fields and fields[name] is None:
            raise InvalidOrderError(f"{name} is missing: nothing was sent")
    for name in ("side", "condition", "time_in_force"):
        word = fields.get(name)
        if isinstance(word, Word) and not word.known:
            raise InvalidOrderError(f"{name}: {str(word)!r} is no such word: nothing was sent")
    command: OrderCommand = kind(guid=guid, user=UserRef(portfolio=terms.portfolio), **fields)
    problem = command.problem()
    if problem is not None:
        raise InvalidOrderError(f"{problem[0].lower()}{problem[1:]}: nothing was sent")
    return command


def _sent(value: Any) -> Any:
    return UNSET if value is None else value
