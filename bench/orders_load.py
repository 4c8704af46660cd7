"""The load of ``orders``: a few order sockets, each of which sends the next order for every answer."""

from __future__ import annotations

import re
import selectors
import sys
import time
import urllib.parse
import urllib.request
from collections import deque

import msgspec

from bench.join_load import percentile
from bench.orders_server import PORTFOLIO, Served
from bench.raw_session import RawSession, drain
from tapewire.market import catalogue

__all__ = ["OrdersLoad", "OrdersReading"]

#: As many as one user may have, less two.
CONNECTIONS_MAX = 8
#: Orders rest this far below the close, in as many steps of the price; nobody sells there.
BELOW_PART = 0.05
PRICES = 100
DEADLINE_S = 120.0


class OrdersLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How many orders, and how many of them at a time."""

    served: Served
    in_flight: int
    orders: int
    #: Begins every guid: a guid is good for one order.
    name: str


class OrdersReading(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    orders: int
    seconds: float
    p50_s: float
    p99_s: float
    #: Entries that the journal has written and its syncs; both 0 without a journal.
    records: float
    syncs: float

    @property
    def per_second(self) -> float:
        return self.orders / self.seconds


class _Sender:
    """One connection with so many orders under way; answers come in the order of the orders."""

    def __init__(self, load: OrdersLoad, token: str, number: int, in_flight: int) -> None:
        self.session = RawSession(load.served.port, path="/cws")
        self.late: list[float] = []
        self._load = load
        self._number = number
        self._in_flight = in_flight
        self._sent_at: deque[float] = deque()
        self._sent = 0
        self._instrument = catalogue(1)[0]
        self.session.send(msgspec.json.encode({"opcode": "authorize", "guid": "a", "token": token}))

    def begin(self) -> None:
        """Send the first orders."""
        self.session.answers = 0
        for _ in range(self._in_flight):
            self._send()

    def go_on(self, *, sends: bool) -> None:
        """Take note of the answers that have come, and send as many orders."""
        now = time.perf_counter()
        while self.session.answers:
            self.session.answers -= 1
            self.late.append(now - self._sent_at.popleft())
            if sends:
                self._send()

    @property
    def under_way(self) -> int:
        return len(self._sent_at)

    def _send(self) -> None:
        instrument = self._instrument
        ticks = round(instrument.prev_close_ticks * (1 - BELOW_PART)) - self._sent % PRICES
        self._sent += 1
        order = {
            "opcode": "create:limit",
            "guid": f"{self._load.name}-{self._number}-{self._sent}",
            "side": "buy",
            "quantity": 1,
            "price": float(instrument.price(ticks)),
            "instrument": {"symbol": instrument.symbol, "exchange": "MOEX", "instrumentGroup": instrument.board},
            "user": {"portfolio": PORTFOLIO},
            "timeInForce": "oneday",
            "checkDuplicates": True,
        }
        self._sent_at.append(time.perf_counter())
        self.session.send(msgspec.json.encode(order))


def _run(load: OrdersLoad) -> OrdersReading:
    selector = selectors.DefaultSelector()
    token = _token(load.served)
    count = min(load.in_flight, CONNECTIONS_MAX)
    senders = [_Sender(load, token, number, load.in_flight // count) for number in range(count)]
    for sender in senders:
        selector.register(sender.session.socket, selectors.EVENT_READ, sender.session)
    authorising = time.perf_counter()
    while not all(sender.session.answers for sender in senders):
        _read(selector, senders, authorising)
    records, syncs = _journal(load.served)
    began = time.perf_counter()
    for sender in senders:
        sender.begin()
    done = 0
    while done < load.orders or any(sender.under_way for sender in senders):
        _read(selector, senders, began)
        under_way = sum(sender.under_way for sender in senders)
        for sender in senders:
            sender.go_on(sends=done + under_way < load.orders)
        done = sum(len(sender.late) for sender in senders)
    seconds = time.perf_counter() - began
    records_after, syncs_after = _journal(load.served)
    late = [one for sender in senders for one in sender.late]
    for sender in senders:
        sender.session.close()
    return OrdersReading(
        orders=len(late),
        seconds=seconds,
        p50_s=percentile(late, 0.5),
        p99_s=percentile(late, 0.99),
        records=records_after - records,
        syncs=syncs_after - syncs,
    )


def _read(selector: selectors.BaseSelector, senders: list[_Sender], began: float) -> None:
    drain(selector, 0.01)
    if any(sender.session.is_cut for sender in senders):
        raise SystemExit("the system has ended a connection")
    if time.perf_counter() - began > DEADLINE_S:
        raise SystemExit("an order was not taken, or its answer has not come")


def _token(served: Served) -> str:
    query = urllib.parse.urlencode({"token": served.refresh_token})
    request = urllib.request.Request(f"http://127.0.0.1:{served.port}/refresh?{query}", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(msgspec.json.decode(answer.read())["AccessToken"])


def _journal(served: Served) -> tuple[float, float]:
    headers = {"Authorization": f"Bearer {served.admin_token}"}
    request = urllib.request.Request(f"http://127.0.0.1:{served.port}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read().decode()
    found = {
        name: re.search(rf"^tapewire_journal_{name}_total (\S+)$", text, re.MULTILINE)
        for name in ("records", "syncs")
    }
    records, syncs = (float(match[1]) if match else 0.0 for match in found.values())
    return records, syncs


if __name__ == "__main__":
    print(msgspec.json.encode(_run(msgspec.json.decode(sys.argv[1], type=OrdersLoad))).decode())
