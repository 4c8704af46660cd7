"""What a subscription and an idle session weigh in the gateway's resident memory."""

from __future__ import annotations

from statistics import median

from bench import children
from bench.books_server import Books, Serving
from bench.machine import this_machine
from bench.options import Options
from bench.result import Result
from bench.subscriptions_load import SubscriptionsLoad, SubscriptionsReading
from tapewire.protocol.limits import CONNECTIONS_PER_USER_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX

__all__ = ["measure"]

#: The sessions of one user.
SESSIONS = CONNECTIONS_PER_USER_MAX
IDLE_SESSIONS = 500
TIMEOUT_S = 180.0
SUBSCRIPTION_BYTES_MAX = 1.2 * 1024
IDLE_SESSION_BYTES_MAX = 24 * 1024


def measure(options: Options) -> Result:
    """Fill a fresh gateway once a round. ``--messages`` are subscriptions a session."""
    asked = min(options.messages or SUBSCRIPTIONS_PER_CONNECTION_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX)
    idle = IDLE_SESSIONS if options.messages is None else 50
    readings = [_fill(asked, idle) for _ in range(options.runs)]
    figures = {
        "sessions": float(SESSIONS),
        "subscriptions_each": float(asked),
        "feeds": float(asked),
        "snapshots_least": float(min(reading.snapshots for reading in readings)),
        "subscription_bytes": median(reading.subscriptions_bytes / (SESSIONS * asked) for reading in readings),
        "idle_session_bytes": median(reading.idle_sessions_bytes / idle for reading in readings),
        "cut_sessions": float(sum(SESSIONS + idle - reading.sessions_left for reading in readings)),
    }
    targets = {
        f"subscription_bytes <= {SUBSCRIPTION_BYTES_MAX:.0f}": figures["subscription_bytes"]
        <= SUBSCRIPTION_BYTES_MAX,
        f"idle_session_bytes <= {IDLE_SESSION_BYTES_MAX}": figures["idle_session_bytes"] <= IDLE_SESSION_BYTES_MAX,
    }
    return Result(name="subscriptions", figures=figures, ratios={}, targets=targets, machine=this_machine())


def _fill(subscriptions: int, idle: int) -> SubscriptionsReading:
    with children.serving("bench.books_server", Books(instruments=max(subscriptions, 50)), Serving) as serving:
        load = SubscriptionsLoad(
            serving=serving, idle_sessions=idle, sessions=SESSIONS, subscriptions=subscriptions
        )
        return children.run("bench.subscriptions_load", load, SubscriptionsReading, timeout_s=TIMEOUT_S)
