"""The route table of portfolios and orders. Literal paths stand before open ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapewire.gateway.http.endpoint import Access, Endpoint
from tapewire.gateway.http.estimates import estimate, estimate_all
from tapewire.gateway.http.fills import (
    fills,
    past_fills,
    past_fills_before,
    past_fills_of,
    past_fills_of_before,
    symbol_fills,
)
from tapewire.gateway.http.groups import change_group, delete_group, group, groups, make_group
from tapewire.gateway.http.orders import cancel, cancel_all, cancel_before, order_taker, stop_taker_before
from tapewire.gateway.http.portfolio import (
    derivatives_risk,
    login_positions,
    money,
    order,
    orders,
    position,
    positions,
    risk,
    stop_order,
    stop_orders,
    summary,
)
from tapewire.model import (
    DerivativesRisk,
    Fill,
    LegacyMoney,
    Order,
    OrderEstimate,
    OrderGroup,
    Position,
    Risk,
    StopOrder,
    Summary,
)
from tapewire.protocol.commands import (
    CreateLimit,
    CreateMarket,
    CreateStop,
    CreateStopLimit,
    UpdateLimit,
    UpdateMarket,
    UpdateStop,
    UpdateStopLimit,
)
from tapewire.protocol.http_orders import (
    AskGroup,
    AskGroups,
    Cancel,
    CancelAll,
    CancelBefore,
    EstimateBody,
    GroupBody,
    GroupMade,
    OrderTaken,
    Place,
    PlaceBefore,
    Replace,
    ReplaceBefore,
    ReplaceStop,
)
from tapewire.protocol.http_portfolio import (
    AskDerivativesRisk,
    AskFills,
    AskLoginPositions,
    AskMoney,
    AskOrder,
    AskOrders,
    AskPastFills,
    AskPastFillsBefore,
    AskPastFillsOf,
    AskPastFillsOfBefore,
    AskPosition,
    AskPositions,
    AskRisk,
    AskStopOrder,
    AskStopOrders,
    AskSummary,
    AskSymbolFills,
)
from tapewire.protocol.tokens import Scope

__all__ = ["TRADING_ENDPOINTS"]

_TOKEN = Access.TOKEN
_OF = "/md/v2/Clients/{exchange}/{portfolio}"
_PAST = "/{exchange}/{portfolio}/history/trades"
_ORDERS = "/commandapi/warptrans/TRADE/v2/client/orders"
_OLD_ORDERS = "/warptrans/{tradeServerCode}/v2/client/orders"
_GROUPS = "/commandapi/api/orderGroups"
_GROUP = f"{_GROUPS}/{{orderGroupId}}"


def _portfolio(scope: str) -> Callable[..., Endpoint]:
    """Return how to write a row that is read with a right."""

    def row(path: str, request: Any, handle: Any, answer: Any, summary: str, **more: Any) -> Endpoint:
        statuses = (403, 404, 501, *more.pop("statuses", ()))
        return Endpoint(path, _TOKEN, request, handle, answer, summary, scope=scope, statuses=statuses, **more)

    return row


def _taking(method: str, path: str, request: Any, command: Any, name: str, summary: str) -> Endpoint:
    statuses = (403, 404, 408, 413)
    return Endpoint(
        f"{_ORDERS}{path}",
        _TOKEN,
        request,
        order_taker(command, name),
        OrderTaken,
        summary,
        statuses=statuses,
        method=method,
        scope=Scope.ORDERS_CREATE,
        body=command,
        is_repeatable=True,
    )


def _taking_before(method: str, kind: str, command: Any, *, is_loss: bool) -> Endpoint:
    is_new = method == "POST"
    name = f"{'place' if is_new else 'replace'}_{kind}_before"
    return Endpoint(
        f"{_OLD_ORDERS}/actions/{kind}" + ("" if is_new else "/{orderId}"),
        _TOKEN,
        PlaceBefore if is_new else ReplaceBefore,
        stop_taker_before(command, name, is_loss=is_loss),
        OrderTaken,
        f"{'Place' if is_new else 'Replace'} a conditional order by an old call",
        statuses=(403, 404, 408, 413),
        is_deprecated=True,
        method=method,
        scope=Scope.ORDERS_CREATE,
        body=command,
        is_repeatable=True,
    )


def _grouping(method: str, path: str, request: Any, handle: Any, answer: Any, summary: str) -> Endpoint:
    has_body = method in ("POST", "PUT")
    return Endpoint(
        path,
        _TOKEN,
        request,
        handle,
        answer,
        summary,
        is_list=handle is groups,
        statuses=(403, 408, 413) if has_body else (403,),
        method=method,
        scope=Scope.ORDERS_READ if method == "GET" else Scope.ORDERS_CREATE,
        body=GroupBody if has_body else None,
        is_of_groups=True,
        is_text=answer is str,
    )


_read_orders, _read_trades = _portfolio(Scope.ORDERS_READ), _portfolio(Scope.TRADES)
_read_personal, _read_past = _portfolio(Scope.PERSONAL), _portfolio(Scope.STATS)

_KINDS = (
    ("market", CreateMarket, UpdateMarket, Replace),
    ("limit", CreateLimit, UpdateLimit, Replace),
    ("stop", CreateStop, UpdateStop, ReplaceStop),
    ("stopLimit", CreateStopLimit, UpdateStopLimit, ReplaceStop),
)
_OLD_KINDS = (
    ("stopLoss", CreateStop, UpdateStop, True),
    ("takeProfit", CreateStop, UpdateStop, False),
    ("stopLossLimit", CreateStopLimit, UpdateStopLimit, True),
    ("takeProfitLimit", CreateStopLimit, UpdateStopLimit, False),
)

TRADING_ENDPOINTS = (
    *(
        _taking("POST", f"/actions/{kind}", Place, create, f"place_{kind}", f"Place an order: {kind}")
        for kind, create, _, _ in _KINDS
    ),
    *(
        _taking(
            "PUT",
            f"/actions/{kind}/{{{'stopOrderId' if request is ReplaceStop else 'orderId'}}}",
            request,
            update,
            f"replace_{kind}",
            f"Put an order in the place of another: {kind}",
        )
        for kind, _, update, request in _KINDS
    ),
    Endpoint(
        f"{_ORDERS}/all",
        _TOKEN,
        CancelAll,
        cancel_all,
        str,
        "Cancel all working orders of a portfolio",
        statuses=(403,),
        method="DELETE",
        scope=Scope.ORDERS_CREATE,
    ),
    Endpoint(
        f"{_ORDERS}/estimate",
        _TOKEN,
        Place,
        estimate,
        OrderEstimate,
        "Weigh an order without placing it",
        statuses=(403, 404, 408, 413, 501),
        method="POST",
        scope=Scope.PERSONAL,
        body=EstimateBody,
    ),
    Endpoint(
        f"{_ORDERS}/estimate/all",
        _TOKEN,
        Place,
        estimate_all,
        OrderEstimate,
        "Weigh several orders without placing them",
        is_list=True,
        statuses=(403, 404, 408, 413, 501),
        method="POST",
        scope=Scope.PERSONAL,
        body=EstimateBody,
        is_body_list=True,
    ),
    Endpoint(
        f"{_ORDERS}/{{orderId}}",
        _TOKEN,
        Cancel,
        cancel,
        str,
        "Cancel an order",
        statuses=(403,),
        method="DELETE",
        scope=Scope.ORDERS_CREATE,
        is_text=True,
    ),
    _read_orders(f"{_OF}/orders", AskOrders, orders, Order, "Direct orders of the session", is_list=True),
    _read_orders(f"{_OF}/orders/{{orderId}}", AskOrder, order, Order, "One direct order"),
    _read_orders(f"{_OF}/stoporders", AskStopOrders, stop_orders, StopOrder, "Conditional orders", is_list=True),
    _read_orders(f"{_OF}/stoporders/{{orderId}}", AskStopOrder, stop_order, StopOrder, "One conditional order"),
    _read_personal(f"{_OF}/positions", AskPositions, positions, Position, "Positions and money", is_list=True),
    _read_personal(f"{_OF}/positions/{{symbol}}", AskPosition, position, Position, "One position"),
    _read_trades(f"{_OF}/trades", AskFills, fills, Fill, "Own trades of the session", is_list=True),
    _read_trades(
        f"{_OF}/{{symbol}}/trades",
        AskSymbolFills,
        symbol_fills,
        Fill,
        "Own trades of the session in one symbol",
        is_list=True,
    ),
    _read_personal(f"{_OF}/summary", AskSummary, summary, Summary, "What a portfolio is worth and can buy"),
    _read_personal(f"{_OF}/risk", AskRisk, risk, Risk, "Margins of a portfolio"),
    _read_personal(
        f"{_OF}/fortsrisk",
        AskDerivativesRisk,
        derivatives_risk,
        DerivativesRisk,
        "Money and margin on the derivatives market",
    ),
    _read_personal(
        "/md/v2/Clients/legacy/{exchange}/{portfolio}/money",
        AskMoney,
        money,
        LegacyMoney,
        "Money of a portfolio",
        is_deprecated=True,
    ),
    _read_personal(
        "/md/v2/Clients/{login}/positions",
        AskLoginPositions,
        login_positions,
        Position,
        "Positions and money of all portfolios",
        is_list=True,
    ),
    _read_past(
        f"/md/v2/Stats{_PAST}", AskPastFills, past_fills, Fill, "Own trades of past sessions", is_list=True
    ),
    _read_past(
        f"/md/v2/Stats{_PAST}/{{symbol}}",
        AskPastFillsOf,
        past_fills_of,
        Fill,
        "Own trades of past sessions in one symbol",
        is_list=True,
    ),
    _read_past(
        f"/md/stats{_PAST}",
        AskPastFillsBefore,
        past_fills_before,
        Fill,
        "Own trades of past sessions",
        is_list=True,
        is_deprecated=True,
    ),
    _read_past(
        f"/md/stats{_PAST}/{{symbol}}",
        AskPastFillsOfBefore,
        past_fills_of_before,
        Fill,
        "Own trades of past sessions in one symbol",
        is_list=True,
        is_deprecated=True,
    ),
    _grouping("GET", _GROUPS, AskGroups, groups, OrderGroup, "Order groups of the login"),
    _grouping("POST", _GROUPS, AskGroups, make_group, GroupMade, "Bind orders together"),
    _grouping("GET", _GROUP, AskGroup, group, OrderGroup, "One order group"),
    _grouping("PUT", _GROUP, AskGroup, change_group, str, "Change an order group"),
    _grouping("DELETE", _GROUP, AskGroup, delete_group, str, "Cancel an order group"),
    *(_taking_before("POST", kind, create, is_loss=is_loss) for kind, create, _, is_loss in _OLD_KINDS),
    *(_taking_before("PUT", kind, update, is_loss=is_loss) for kind, _, update, is_loss in _OLD_KINDS),
    Endpoint(
        f"{_OLD_ORDERS}/{{orderId}}",
        _TOKEN,
        CancelBefore,
        cancel_before,
        str,
        "Cancel an order by an old call",
        statuses=(403,),
        is_deprecated=True,
        method="DELETE",
        scope=Scope.ORDERS_CREATE,
        is_text=True,
        is_repeatable=True,
    ),
)
