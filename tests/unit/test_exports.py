"""The public names of tapewire: none added and none lost by accident."""

from __future__ import annotations

import inspect
import subprocess
import sys

import tapewire
from tapewire.model import Word

NAMES = {
    "PRODUCTION",
    "TEST",
    "UNSET",
    "Accepted",
    "AllCanceled",
    "AnswerTimeoutError",
    "ArgumentError",
    "Bar",
    "Bars",
    "BlockedEvent",
    "Book",
    "BookLevel",
    "Broker",
    "BufferOverflowError",
    "BusyError",
    "BufferPolicy",
    "Callback",
    "CallbackEndedEvent",
    "CallbackFailedEvent",
    "Callbacks",
    "ClosedError",
    "Cluster",
    "ClusterLevel",
    "CommandResult",
    "Condition",
    "ConfigurationError",
    "Conflate",
    "ConnectError",
    "ConnectedEvent",
    "ConnectionLostError",
    "DerivativesRisk",
    "DropOldest",
    "Endpoints",
    "Estimate",
    "Event",
    "Exchange",
    "Fail",
    "Fault",
    "Fill",
    "Format",
    "Gap",
    "GapClosedEvent",
    "GapError",
    "GapLedger",
    "GapOpenedEvent",
    "GapState",
    "GroupAccepted",
    "GroupPolicy",
    "InstrumentUpdate",
    "InvalidOrderError",
    "LegacyStopOrder",
    "LimitError",
    "LostEvent",
    "NotDone",
    "NotSentError",
    "Order",
    "OrderGroup",
    "OrderScope",
    "OrderStatus",
    "OrderTerms",
    "OrderTicket",
    "Orders",
    "OverflowEvent",
    "Portfolio",
    "Position",
    "PressureEvent",
    "Quote",
    "RefusedError",
    "RefusedEvent",
    "Resolution",
    "Rejected",
    "RestoredEvent",
    "Risk",
    "Security",
    "Side",
    "Spill",
    "SilentEvent",
    "StopOrder",
    "StreamStatus",
    "Subscription",
    "SubscriptionState",
    "Summary",
    "TapewireError",
    "TimeInForce",
    "Timeframe",
    "TokenRefusedError",
    "TokenServiceError",
    "Trade",
    "TradingCode",
    "Unknown",
    "WaitingEvent",
    "__version__",
    "connect",
    "sync",
}


def test_exactly_these_names_are_public() -> None:
    assert set(tapewire.__all__) == NAMES
    assert len(tapewire.__all__) == len(NAMES)


def test_every_public_name_exists_and_every_class_and_function_but_word_lists_says_what_it_is_for() -> None:
    for name in NAMES:
        value = getattr(tapewire, name)
        if inspect.isfunction(value) or (inspect.isclass(value) and not issubclass(value, Word)):
            assert value.__doc__, name


def test_nothing_else_is_visible_but_the_packages() -> None:
    visible = {name for name, value in vars(tapewire).items() if not inspect.ismodule(value)}
    assert {name for name in visible if not name.startswith("_")} == NAMES - {"__version__", "sync"}


def test_the_sdk_is_imported_without_server_terminal_and_http() -> None:
    code = "import sys, tapewire; print(*sorted(sys.modules))"
    names = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    heavy = {"aiohttp", "uvicorn", "starlette", "typer", "rich", "jwt", "cryptography"}
    assert heavy.isdisjoint(names)
    assert not [
        name for name in names if name.startswith(("tapewire.gateway", "tapewire.venues", "tapewire.cli."))
    ]
