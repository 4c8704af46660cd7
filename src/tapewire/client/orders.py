"""Order entry as its caller sees it: ``broker.orders``. Each call sends one command, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import msgspec

from tapewire.client.arguments import exchange_of, refuse, word
from tapewire.client.command_end import Taken, Untold
from tapewire.client.command_result import (
    AllCanceled,
    CommandResult,
    Rejected,
    Unknown,
)
from tapewire.client.errors import InvalidOrderError
from tapewire.client.http_commands import HttpCommands
from tapewire.client.order_entry import OrderEntry
from tapewire.client.order_groups import OrderGroups
from tapewire.client.order_inquiry import Judge, judge_cancelled, judge_created, judge_updated
from tapewire.client.order_lists import OrderLists, OrderName
from tapewire.client.order_resolver import OrderResolver, TicketOf, result_of
from tapewire.client.order_terms import (
    OrderTerms,
    callers_comment,
    create_command,
    delete_command,
    mark_of,
    update_command,
)
from tapewire.client.order_ticket import OrderTicket, ticket_of
from tapewire.client.portfolio import Portfolio
from tapewire.client.portfolio_choice import PortfolioChoice
from tapewire.model import (
    Condition,
    Exchange,
    GroupedType,
    Order,
    OrderScope,
    Side,
    StopOrder,
    TimeInForce,
    Word,
)
from tapewire.protocol.commands import OrderCommand

__all__ = ["OrderName", "Orders"]

W = TypeVar("W", bound=Word)

#: Stands for the portfolio while it is checked whether the rest can be an order.
_ANY_PORTFOLIO = "?"


class Orders:
    """Places, replaces and cancels orders. Made by the broker: ``broker.orders``.

    The first command opens the order socket and authorizes it (``open`` does so beforehand). A command is sent
    once and never again. It ends as

    - ``Accepted``: the broker took it. The exchange may still reject a new order, which the orders stream tells;
    - ``Rejected``: the broker did not take it; nothing has changed;
    - ``Unknown``: it was sent, and no answer came within 10 s or before the connection ended. ``resolve`` finds
      out what can be found out.

    What was not sent is an error, and nothing has happened: ``InvalidOrderError`` and ``LimitError`` (values that
    no order can have; more than 100 commands in flight), ``NotSentError`` (no connection: a command never waits
    for a lost one to come back), ``ConfigurationError`` (it is not clear which portfolio), and what a reading that
    comes before the command raises: ``RefusedError``, ``ConnectError``. A caller that is cancelled while it waits
    for an answer learns nothing: the command may have been sent.

    ``portfolio`` may be left out where exactly one of the token's fits the instrument's market (``D…`` shares,
    ``G…`` currency, ``75…`` derivatives). A ``comment`` of at most 100 characters is kept with the order; without
    one the client writes its mark there, by which ``Unknown.resolve`` finds the order without doubt; an empty one
    leaves it empty.
    """

    def __init__(
        self,
        entry: OrderEntry,
        http: HttpCommands,
        choice: PortfolioChoice,
        portfolio: Callable[[str, Exchange], Portfolio],
    ) -> None:
        #: Orders bound together.
        self.groups = OrderGroups(http, entry.new_guid)
        self._entry = entry
        self._http = http
        self._choice = choice
        self._lists = OrderLists(choice, portfolio)
        self._resolver = OrderResolver(self._lists, entry.late_end)

    async def open(self) -> None:
        """Open the order socket and authorize it, so that the first command need not; waits while it is restored.

        Raises:
            NotSentError: It cannot be had; ``__cause__`` says why.
        """
        await self._entry.open()

    # --- new orders -------------------------------------------------------------------------------------

    async def limit(
        self,
        symbol: str,
        side: Side | str,
        *,
        lots: int,
        price: Decimal | int,
        portfolio: str | None = None,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        time_in_force: TimeInForce | str | None = None,
        comment: str | None = None,
        allow_margin: bool = False,
        iceberg_lots: int | None = None,
        iceberg_variance_percent: int | None = None,
    ) -> CommandResult:
        """Place a limit order for whole lots.

        Args:
            symbol: Ticker.
            side: ``buy`` or ``sell``.
            lots: 1 or more.
            price: A multiple of the instrument's step.
            portfolio: Whose order; see the class.
            exchange: Where the instrument is listed.
            board: Board code; empty: the primary board.
            time_in_force: None: the day.
            comment: See the class.
            allow_margin: Whether the order may open or enlarge an uncovered position.
            iceberg_lots: The visible part.
            iceberg_variance_percent: Random change of the visible part, 0..20; derivatives only.
        """
        return await self._create(
            GroupedType.LIMIT,
            symbol,
            side,
            portfolio,
            exchange,
            board,
            comment,
            lots=lots,
            price=price,
            time_in_force=_word("time_in_force", TimeInForce, time_in_force),
            allow_margin=allow_margin,
            iceberg_lots=iceberg_lots,
            iceberg_variance_percent=iceberg_variance_percent,
        )

    async def market(
        self,
        symbol: str,
        side: Side | str,
        *,
        lots: int,
        portfolio: str | None = None,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        time_in_force: TimeInForce | str | None = None,
        comment: str | None = None,
        allow_margin: bool = False,
    ) -> CommandResult:
        """Place a market order for whole lots; arguments as in :meth:`limit`."""
        return await self._create(
            GroupedType.MARKET,
            symbol,
            side,
            portfolio,
            exchange,
            board,
            comment,
            lots=lots,
            time_in_force=_word("time_in_force", TimeInForce, time_in_force),
            allow_margin=allow_margin,
        )

    async def stop(
        self,
        symbol: str,
        side: Side | str,
        *,
        lots: int,
        trigger_price: Decimal | int,
        condition: Condition | str | None = None,
        ends_at: datetime | None = None,
        protecting_seconds: int | None = None,
        is_active: bool = True,
        portfolio: str | None = None,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        comment: str | None = None,
        allow_margin: bool = False,
    ) -> CommandResult:
        """Have the broker keep an order that becomes a market order when the price meets a condition.

        Args:
            symbol: Ticker.
            side: ``buy`` or ``sell``.
            lots: 1 or more.
            trigger_price: What the market price is compared with.
            condition: None: that of a stop-loss, ``lessorequal`` to sell and ``moreorequal`` to buy.
            ends_at: When it lapses unless it has fired; aware. None: never.
            protecting_seconds: How long the condition must hold without a break, 1..300; None: it fires at once.
            is_active: False: it waits for its group to activate it.
            portfolio: And the rest: as in :meth:`limit`.
        """
        return await self._create(
            GroupedType.STOP,
            symbol,
            side,
            portfolio,
            exchange,
            board,
            comment,
            lots=lots,
            allow_margin=allow_margin,
            **_condition(side, trigger_price, condition, ends_at, protecting_seconds, is_active),
        )

    async def stop_limit(
        self,
        symbol: str,
        side: Side | str,
        *,
        lots: int,
        trigger_price: Decimal | int,
        price: Decimal | int,
        condition: Condition | str | None = None,
        ends_at: datetime | None = None,
        protecting_seconds: int | None = None,
        is_active: bool = True,
        portfolio: str | None = None,
        exchange: Exchange = Exchange.MOEX,
        board: str = "",
        time_in_force: TimeInForce | str | None = None,
        comment: str | None = None,
        allow_margin: bool = False,
        iceberg_lots: int | None = None,
        iceberg_variance_percent: int | None = None,
    ) -> CommandResult:
        """Have the broker keep an order that becomes a limit order at ``price``; the rest as in :meth:`stop`."""
        return await self._create(
            GroupedType.STOP_LIMIT,
            symbol,
            side,
            portfolio,
            exchange,
            board,
            comment,
            lots=lots,
            price=price,
            time_in_force=_word("time_in_force", TimeInForce, time_in_force),
            allow_margin=allow_margin,
            iceberg_lots=iceberg_lots,
            iceberg_variance_percent=iceberg_variance_percent,
            **_condition(side, trigger_price, condition, ends_at, protecting_seconds, is_active),
        )

    # --- orders that are there --------------------------------------------------------------------------

    async def replace(
        self,
        order: OrderName,
        *,
        lots: int | None = None,
        price: Decimal | int | None = None,
        trigger_price: Decimal | int | None = None,
        comment: str | None = None,
        allow_margin: bool | None = None,
        portfolio: str | None = None,
        exchange: Exchange = Exchange.MOEX,
    ) -> CommandResult:
        """Cancel an order and place one in its place, with a **new number**; what is None stays as it was.

        The wire wants the whole new order. What is not known of the old one is read over HTTP first: always by a
        number, and where ``lots`` are left out, which then are what has not been filled yet. A fill between that
        look and the command makes the new order too large by as much: give ``lots`` where that matters.

        Raises:
            InvalidOrderError: There is no such order, nothing of it is left, or it has no such price.
            LimitError: And the others: as every command, see the class.
        """
        exchange = exchange_of(exchange, InvalidOrderError)
        number, old = await self._lists.terms(order, lots, portfolio, exchange)
        has_price = old.type in (GroupedType.LIMIT, GroupedType.STOP_LIMIT)
        if price is not None and not has_price:
            raise InvalidOrderError(f"a {old.type.lower()} order has no price: nothing was sent")
        if trigger_price is not None and not old.type.is_conditional:
            raise InvalidOrderError(f"a {old.type.lower()} order has no trigger price: nothing was sent")
        guid = self._entry.new_guid()
        terms = msgspec.structs.replace(
            old,
            lots=old.lots if lots is None else lots,
            price=old.price if price is None else price,
            trigger_price=old.trigger_price if trigger_price is None else trigger_price,
            allow_margin=old.allow_margin if allow_margin is None else allow_margin,
            comment=_comment(comment if comment is not None else callers_comment(old), guid),
        )
        ticket = partial(_ticket, terms=terms, replaced=number)
        judge = partial(judge_updated, number=number, terms=terms, guid=guid)
        what = f"replacing order {number} by {terms}"
        return await self._send(update_command(terms, number, guid), what, ticket, judge, terms)

    async def cancel(
        self, order: OrderName, *, portfolio: str | None = None, exchange: Exchange = Exchange.MOEX
    ) -> CommandResult:
        """Cancel an order. By its number alone it is looked for over HTTP first, to learn its kind and portfolio.

        Raises:
            InvalidOrderError: There is no order with this number.
            LimitError: And the others: as every command, see the class.
        """
        exchange = exchange_of(exchange, InvalidOrderError)
        if isinstance(order, OrderTicket):
            ticket = order
        else:
            ticket = ticket_of(await self._lists.row(order, portfolio, exchange))
        guid = self._entry.new_guid()
        command = delete_command(ticket.type, ticket.number, ticket.portfolio, ticket.exchange, guid)
        judge = partial(judge_cancelled, ticket=ticket)
        return await self._send(command, f"cancelling {ticket}", lambda _: ticket, judge, ticket)

    async def cancel_all(
        self,
        portfolio: str | None = None,
        *,
        exchange: Exchange = Exchange.MOEX,
        scope: OrderScope = OrderScope.BOTH,
    ) -> AllCanceled | Rejected | Unknown:
        """Cancel all working orders of a portfolio. The order socket has no such command: it goes over HTTP.

        ``Rejected`` with the trading code 404 says that there was none.

        Args:
            portfolio: None: the only one of the token.
            exchange: On which.
            scope: Direct orders, conditional ones, or both.
        """
        name = self._choice.only(portfolio)
        where, which = exchange_of(exchange), word("scope", OrderScope, scope)
        done = AllCanceled(name, where, which, self._entry.new_guid())
        end = await self._http.cancel_all(done)
        if isinstance(end, Taken):
            return done
        if isinstance(end, Rejected):
            return end
        return self._resolver.unknown_all(done, end.why)

    async def list(
        self, portfolio: str | None = None, *, exchange: Exchange = Exchange.MOEX
    ) -> Sequence[Order | StopOrder]:
        """Return the orders of the running session over HTTP, direct ones first; ended ones too.

        Args:
            portfolio: None: all of the token, but united ones (``E…``), which repeat the others.
            exchange: On which.
        """
        return await self._lists.rows(portfolio, exchange_of(exchange))

    # --- inside -----------------------------------------------------------------------------------------

    async def _create(
        self,
        order_type: GroupedType,
        symbol: str,
        side: Side | str,
        portfolio: str | None,
        exchange: Exchange,
        board: str,
        comment: str | None,
        **more: Any,
    ) -> CommandResult:
        guid = self._entry.new_guid()
        known = self._choice.known(portfolio)
        terms = OrderTerms(
            type=order_type,
            symbol=symbol,
            side=_word("side", Side, side),
            portfolio=known or _ANY_PORTFOLIO,
            exchange=exchange_of(exchange, InvalidOrderError),
            board=board,
            comment=_comment(comment, guid),
            **more,
        )
        command = create_command(terms, guid)
        if known is None:
            # Looked for last: what cannot be an order asks nobody anything.
            chosen = await self._choice.on_market_of(symbol, terms.exchange, board)
            terms = msgspec.structs.replace(terms, portfolio=chosen)
            command = create_command(terms, guid)
        judge = partial(judge_created, terms=terms, guid=guid)
        return await self._send(command, str(terms), partial(_ticket, terms=terms), judge, terms)

    async def _send(
        self,
        command: OrderCommand,
        what: str,
        ticket: TicketOf,
        judge: Judge,
        where: OrderTerms | OrderTicket,
    ) -> CommandResult:
        """Send a command, ``what`` in words.

        ``ticket`` makes the order of a number, ``judge`` reads the list of ``where``.
        """
        end = await self._entry.submit(command)
        if isinstance(end, Untold):
            return self._resolver.unknown(command.guid, what, end.why, ticket, judge, where)
        return result_of(end, command.guid, ticket)


def _ticket(number: str, terms: OrderTerms, replaced: str | None = None) -> OrderTicket:
    return OrderTicket(
        number=number,
        type=terms.type,
        portfolio=terms.portfolio,
        exchange=terms.exchange,
        replaced_number=replaced,
        terms=terms,
    )


def _comment(comment: str | None, guid: str) -> str | None:
    return mark_of(guid) if comment is None else comment or None


def _word(name: str, kind: type[W], value: str | None) -> Any:
    return None if value is None else word(name, kind, value, InvalidOrderError)


def _condition(
    side: Side | str,
    trigger_price: Decimal | int,
    condition: Condition | str | None,
    ends_at: datetime | None,
    protecting_seconds: int | None,
    is_active: bool,
) -> dict[str, Any]:
    """Return what conditional orders have beside the others."""
    is_sold = word("side", Side, side, InvalidOrderError) is Side.SELL
    stop_loss = Condition.LESS_OR_EQUAL if is_sold else Condition.MORE_OR_EQUAL
    if ends_at is not None and (not isinstance(ends_at, datetime) or ends_at.tzinfo is None):
        raise refuse("ends_at", ends_at, "a datetime with its time zone", InvalidOrderError)
    return {
        "trigger_price": trigger_price,
        "condition": _word("condition", Condition, condition) or stop_loss,
        "ends_at_s": 0 if ends_at is None else int(ends_at.timestamp()),
        "protecting_seconds": protecting_seconds,
        "is_active": is_active,
    }
