"""Commands of the wire as commands of the venue. Pure but for the look-up of the board."""

from __future__ import annotations

from decimal import Decimal

from tapewire.model import (
    CancelOrder,
    CancelStopOrder,
    Command,
    PlaceOrder,
    PlaceStopOrder,
    ReplaceOrder,
    ReplaceStopOrder,
    TimeInForce,
)
from tapewire.ports.query import Query
from tapewire.protocol.codes import ResultCode
from tapewire.protocol.commands import (
    CreateLimit,
    CreateMarket,
    CreateStop,
    CreateStopLimit,
    DeleteLimit,
    DeleteMarket,
    DeleteStop,
    DeleteStopLimit,
    OrderCommand,
    UpdateLimit,
    UpdateMarket,
    UpdateStop,
    UpdateStopLimit,
)
from tapewire.protocol.errors import BadRequestError

__all__ = ["command_of"]

_Direct = CreateMarket | CreateLimit | UpdateLimit
_Conditional = CreateStop | CreateStopLimit | UpdateStopLimit


def command_of(asked: OrderCommand, query: Query) -> Command:
    """Return what a command of the wire asks of the venue.

    The suffix of a deletion says which numbers are meant, those of direct or of conditional orders; ``market`` and
    ``limit`` mean the same there, and so do ``stop`` and ``stopLimit``.

    Raises:
        BadRequestError: An order for an instrument or board that does not exist, or a value that no venue takes.
    """
    # An update is a creation with a number: the longer names come first.
    match asked:
        case DeleteMarket() | DeleteLimit():
            return CancelOrder(
                portfolio=asked.user.portfolio, exchange=asked.exchange, order_number=str(asked.order_id)
            )
        case DeleteStop() | DeleteStopLimit():
            return CancelStopOrder(
                portfolio=asked.user.portfolio, exchange=asked.exchange, order_number=str(asked.order_id)
            )
        case UpdateMarket() | UpdateLimit():
            return ReplaceOrder(
                order_number=str(asked.order_id),
                order=_direct(asked, _board(asked, query) or asked.board_code),
                keeps_time_in_force=isinstance(asked, UpdateLimit) or not asked.time_in_force,
            )
        case UpdateStop() | UpdateStopLimit():
            order = _conditional(asked, _board(asked, query) or asked.board_code)
            return ReplaceStopOrder(order_number=str(asked.order_id), order=order)
        case CreateMarket() | CreateLimit():
            return _direct(asked, _known_board(asked, query))
        case CreateStop() | CreateStopLimit():
            return _conditional(asked, _known_board(asked, query))
    raise AssertionError(f"{type(asked).__name__} is no command about orders")


def _board(asked: _Direct | _Conditional, query: Query) -> str | None:
    ref = asked.instrument
    instrument = query.instrument(ref.exchange, ref.symbol, asked.board_code)
    return instrument.board if instrument is not None else None


def _known_board(asked: _Direct | _Conditional, query: Query) -> str:
    board = _board(asked, query)
    if board is None:
        ref = asked.instrument
        where = f"{ref.exchange}:{ref.symbol}" + (asked.board_code and f" on {asked.board_code}")
        raise BadRequestError(asked.guid, ResultCode.NOT_FOUND, f"Unknown instrument {where[:80]}")
    return board


def _direct(asked: _Direct, board: str) -> PlaceOrder:
    limit = asked if isinstance(asked, CreateLimit | UpdateLimit) else None
    return PlaceOrder(
        portfolio=asked.user.portfolio,
        exchange=asked.instrument.exchange,
        symbol=asked.instrument.symbol,
        board=board,
        type=asked.TYPE,
        side=asked.side,
        quantity_lots=asked.quantity,
        price=limit.price if limit else None,
        time_in_force=_time_in_force(asked),
        comment=asked.comment or None,
        allow_margin=bool(asked.allow_margin),
        iceberg_lots=(limit.iceberg_fixed or None) if limit else None,
        iceberg_variance_percent=_variance(asked) if isinstance(asked, CreateLimit) else None,
    )


def _conditional(asked: _Conditional, board: str) -> PlaceStopOrder:
    limit = asked if isinstance(asked, CreateStopLimit | UpdateStopLimit) else None
    return PlaceStopOrder(
        portfolio=asked.user.portfolio,
        exchange=asked.instrument.exchange,
        symbol=asked.instrument.symbol,
        board=board,
        type=asked.TYPE,
        side=asked.side,
        quantity_lots=asked.quantity,
        condition=asked.condition,
        trigger_price=asked.trigger_price,
        price=limit.price if limit else None,
        ends_at_s=asked.stop_end_unix_time,
        protecting_seconds=asked.protecting_seconds or None,
        # Absent and null mean active.
        is_active=asked.activate is not False,
        time_in_force=_time_in_force(asked),
        comment=asked.comment or None,
        allow_margin=bool(asked.allow_margin),
        iceberg_lots=(limit.iceberg_fixed or None) if limit else None,
        iceberg_variance_percent=_variance(asked) if isinstance(asked, CreateStopLimit) else None,
    )


def _time_in_force(asked: _Direct | _Conditional) -> TimeInForce:
    return getattr(asked, "time_in_force", None) or TimeInForce.ONE_DAY


def _variance(asked: CreateLimit | CreateStopLimit) -> int | None:
    variance = asked.iceberg_variance
    if not isinstance(variance, Decimal):
        return None
    if variance != int(variance):
        # The wire takes any number; orders tell theirs as a whole one, and nothing is rounded behind one's back.
        raise BadRequestError(asked.guid, ResultCode.BAD_REQUEST, "Invalid or unsupported icebergVariance")
    return int(variance)
