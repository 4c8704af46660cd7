"""Commands of the seam as commands of the exchange: names become positions, prices ticks, texts numbers."""

from __future__ import annotations

from decimal import Decimal

from tapewire import exchange
from tapewire.exchange.refusal import DERIVATIVES
from tapewire.model import (
    CancelAllOrders,
    CancelOrder,
    CancelStopOrder,
    ChangeGroup,
    Command,
    DeleteGroup,
    GroupedOrder,
    Instrument,
    MakeGroup,
    OrderType,
    PlaceOrder,
    PlaceStopOrder,
    Refused,
    ReplaceOrder,
    ReplaceStopOrder,
    StopType,
    TradingCode,
)
from tapewire.venues.directory import Directory
from tapewire.venues.order_records import ENDLESS_S

__all__ = ["Translator", "named_participant"]

#: More digits than any number has that the exchange gives out; a longer text is not worth turning into one.
_NUMBER_DIGITS_MAX = 19

#: What a text that is no number becomes: nothing has it.
_NO_NUMBER = 0


#: The broker has a code of its own for the prices of conditional orders.
_STOP_OFF_STEP = TradingCode.PRICE_IN_STOP_ORDER_NOT_MULTIPLE_OF_MIN_INCREMENT


class _RefusedError(Exception):
    def __init__(self, code: TradingCode, reason: str) -> None:
        super().__init__(reason)
        self.refused = Refused(int(code), reason)


class Translator:
    """Turns commands into the exchange's units. What it refuses has never reached the exchange."""

    def __init__(self, directory: Directory, core: exchange.Exchange) -> None:
        """Translate for ``core``, whose instruments ``directory`` has in the same order."""
        self._directory = directory
        self._core = core

    def translate(self, command: Command) -> exchange.Command | Refused:
        """Return what a command asks of the exchange, or why it cannot be asked."""
        try:
            return self._translated(command)
        except _RefusedError as error:
            return error.refused

    def _translated(self, command: Command) -> exchange.Command:
        # The first two come thousands a second.
        match command:
            case PlaceOrder():
                return self._place(command, self._position(command))
            case CancelOrder():
                order_id = self._found(command, self._core.orders)
                return exchange.Cancel(account=command.portfolio, order_id=order_id)
            case ReplaceOrder():
                return self._replace(command)
            case PlaceStopOrder():
                return self._place_conditional(command, self._position(command))
            case CancelStopOrder():
                order_id = self._found(command, self._core.conditionals)
                return exchange.CancelConditional(account=command.portfolio, order_id=order_id)
            case ReplaceStopOrder():
                return self._replace_conditional(command)
            case CancelAllOrders():
                return exchange.CancelAll(
                    account=command.portfolio, exchange=command.exchange, scope=command.scope
                )
            case MakeGroup():
                refs = _refs(command.orders)
                return exchange.MakeGroup(owner=command.login, orders=refs, policy=command.policy)
            case ChangeGroup():
                return exchange.ChangeGroup(
                    owner=command.login,
                    group_id=_number(command.id),
                    orders=_refs(command.orders),
                    policy=command.policy,
                )
            case DeleteGroup():
                return exchange.CancelGroup(owner=command.login, group_id=_number(command.id))

    def _position(self, order: PlaceOrder | PlaceStopOrder) -> int:
        position = self._directory.position(order.exchange, order.symbol, order.board)
        if position is None:
            where = f"{order.exchange} {order.board}".rstrip()
            raise _RefusedError(
                TradingCode.EXCHANGE_OPERATION_NOT_SUPPORTED, f"{order.symbol} is not traded on {where}"
            )
        return position

    def _found(
        self,
        command: CancelOrder | CancelStopOrder,
        register: exchange.Register[exchange.OrderRow] | exchange.Register[exchange.ConditionalOrder],
    ) -> int:
        """Return the number of the order that is meant; one on another exchange is not the one."""
        order_id = _number(command.order_number)
        row = register.get(order_id)
        elsewhere = row is not None and self._instrument(row.instrument).exchange != command.exchange
        if order_id == _NO_NUMBER or elsewhere:
            reason = f"the account has no working order {command.order_number}"
            raise _RefusedError(TradingCode.ORDER_TO_CANCEL_NOT_FOUND, reason)
        return order_id

    def _place(self, order: PlaceOrder, position: int) -> exchange.Place:
        return exchange.Place(
            account=order.portfolio,
            instrument=position,
            side=order.side,
            lots=order.quantity_lots,
            price_ticks=self._price_ticks(order, position),
            time_in_force=order.time_in_force,
            allow_margin=order.allow_margin,
            visible_lots=order.iceberg_lots,
            visible_variance_percent=order.iceberg_variance_percent or 0,
            comment=order.comment,
        )

    def _replace(self, command: ReplaceOrder) -> exchange.Replace:
        order, order_id = command.order, _number(command.order_number)
        old = self._core.orders.get(order_id)
        if old is None or old.account != order.portfolio:
            reason = f"the account has no working order {command.order_number}"
            raise _RefusedError(TradingCode.ORDER_TO_MODIFY_NOT_FOUND, reason)
        position = self._replacing(order, old.instrument)
        return exchange.Replace(
            account=order.portfolio,
            order_id=order_id,
            instrument=position,
            side=order.side,
            lots=order.quantity_lots,
            price_ticks=self._price_ticks(order, position),
            time_in_force=None if command.keeps_time_in_force else order.time_in_force,
            allow_margin=order.allow_margin,
            visible_lots=order.iceberg_lots,
            comment=order.comment,
        )

    def _place_conditional(self, order: PlaceStopOrder, position: int) -> exchange.PlaceConditional:
        if not order.type.known:
            raise _RefusedError(
                TradingCode.UNSUPPORTED_STOP_ORDER_TYPE, f"order type {order.type} is neither stop nor stopLimit"
            )
        price_ticks = None
        if order.type is StopType.STOP_LIMIT:
            price_ticks = self._ticks(position, order.price, "a stop-limit order needs a price", _STOP_OFF_STEP)
        elif order.price is not None:
            raise _RefusedError(TradingCode.INTERNAL_ERROR_WITH_PRICES, "a stop order has no price")
        return exchange.PlaceConditional(
            order=exchange.Place(
                account=order.portfolio,
                instrument=position,
                side=order.side,
                lots=order.quantity_lots,
                price_ticks=price_ticks,
                time_in_force=order.time_in_force,
                allow_margin=order.allow_margin,
                visible_lots=order.iceberg_lots,
                visible_variance_percent=order.iceberg_variance_percent or 0,
                comment=order.comment,
            ),
            condition=order.condition,
            trigger_ticks=self._ticks(position, order.trigger_price, "", _STOP_OFF_STEP),
            protecting_s=order.protecting_seconds,
            # Whoever changes an order may send back the end that he was shown.
            expires_at_ns=None if order.ends_at_s in (0, ENDLESS_S) else order.ends_at_s * 1_000_000_000,
            is_active=order.is_active,
        )

    def _replace_conditional(self, command: ReplaceStopOrder) -> exchange.ReplaceConditional:
        order, order_id = command.order, _number(command.order_number)
        old = self._core.conditionals.get(order_id)
        if old is None or old.account != order.portfolio:
            reason = f"the account has no working conditional order {command.order_number}"
            raise _RefusedError(TradingCode.ORDER_TO_MODIFY_NOT_FOUND, reason)
        by = self._place_conditional(order, self._replacing(order, old.instrument))
        return exchange.ReplaceConditional(order_id=order_id, by=by)

    def _replacing(self, order: PlaceOrder | PlaceStopOrder, old_position: int) -> int:
        # On derivatives the instrument is that of the old order, whatever the new one says.
        is_derivative = self._instrument(old_position).kind in DERIVATIVES
        return old_position if is_derivative else self._position(order)

    def _price_ticks(self, order: PlaceOrder, position: int) -> int | None:
        if order.type is OrderType.LIMIT:
            return self._ticks(position, order.price, "a limit order needs a price")
        if order.type is not OrderType.MARKET:
            raise _RefusedError(
                TradingCode.FORBIDDEN_ORDER_TYPE, f"order type {order.type} is neither limit nor market"
            )
        if order.price is not None:
            raise _RefusedError(TradingCode.INTERNAL_ERROR_WITH_PRICES, "a market order has no price")
        return None

    def _ticks(
        self,
        position: int,
        price: Decimal | None,
        missing: str,
        off_step: TradingCode = TradingCode.INTERNAL_ERROR_WITH_PRICES,
    ) -> int:
        if price is None:
            raise _RefusedError(TradingCode.INTERNAL_ERROR_WITH_PRICES, missing)
        try:
            return self._instrument(position).ticks(price)
        except ValueError as error:
            raise _RefusedError(off_step, str(error)) from None

    def _instrument(self, position: int) -> Instrument:
        return self._directory.instruments[position]


def named_participant(command: Command) -> str | None:
    """Return the market's own participant whose orders a command is about; None: it is a user's command."""
    match command:
        case MakeGroup() | ChangeGroup():
            names = tuple(order.portfolio for order in command.orders)
        case DeleteGroup():
            names = ()
        case ReplaceOrder() | ReplaceStopOrder():
            names = (command.order.portfolio,)
        case _:
            names = (command.portfolio,)
    return next((name for name in names if exchange.is_participant(name)), None)


def _number(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _NUMBER_DIGITS_MAX
    return int(text) if is_number else _NO_NUMBER


def _refs(orders: tuple[GroupedOrder, ...]) -> tuple[exchange.OrderRef, ...]:
    return tuple(
        exchange.OrderRef(order.portfolio, _number(order.order_number), order.type.is_conditional)
        for order in orders
    )
