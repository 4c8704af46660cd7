"""All benches by name. A new one is a module and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bench import (
    fanout,
    footprint,
    http,
    join,
    journal,
    latency,
    matching,
    orders,
    receive,
    recovery,
    restore,
    subscriptions,
)
from bench.options import Options
from bench.result import Result

__all__ = ["BENCHES", "Bench"]


class Bench(NamedTuple):
    """One measurement that can be asked for by name."""

    summary: str
    measure: Callable[[Options], Result]


BENCHES = {
    "receive": Bench("the client from the socket to the typed record", receive.measure),
    "latency": Bench("from a trade in the venue to the program's handler, beside a TCP echo", latency.measure),
    "restore": Bench("subscriptions after a cut: time, burst, and what was lost", restore.measure),
    "footprint": Bench("the import, beside that of the libraries", footprint.measure),
    "join": Bench("5,000 subscriptions at once, and what other sessions feel of it", join.measure),
    "fanout": Bench("one market to 200 sessions, beside picows and websockets", fanout.measure),
    "http": Bench("HTTP beside bare Starlette, and a feed beside a long download", http.measure),
    "subscriptions": Bench("memory of a subscription and of an idle session", subscriptions.measure),
    "matching": Bench("orders through book, exchange and accounts, beside two matching engines", matching.measure),
    "journal": Bench("durable appends beside a bare synced one, and the replay", journal.measure),
    "orders": Bench("orders through a real socket and the journal, beside a bare synced append", orders.measure),
    "recovery": Bench("a start from the whole journal, and from a snapshot", recovery.measure),
}
