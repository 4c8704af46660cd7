"""Requests of HTTP beside bare Starlette, and what a long download costs a live feed of the same gateway."""

from __future__ import annotations

import sys
from functools import partial
from statistics import median
from typing import NamedTuple

from bench import children, rounds
from bench.books_server import Serving
from bench.http_bare import ENCODED
from bench.http_feed_load import DownloadLoad, DownloadReading
from bench.http_load import HttpLoad, HttpReading
from bench.http_server import TARGETS, Shelf
from bench.machine import this_machine
from bench.options import Options
from bench.result import Result

__all__ = ["measure"]

#: Requests of a measurement: each takes about a second or two.
REQUESTS = {"quotes": 3_000, "book": 3_000, "bars": 200}
TIMEOUT_S = 120.0
#: The whole catalogue in one answer; 45,000 instruments are 30 MB.
CATALOGUE = "/md/v2/Securities/MOEX"
INSTRUMENTS = 45_000
LIVE = 10
WATCH_S = 4.0
#: Quotes and book to bare Starlette, bars to bare Starlette that encodes them too.
RATIO_MIN = 0.5
P99_GROWTH_MAX = 2.0


class _Server(NamedTuple):
    serving: Serving
    target: str


def measure(options: Options) -> Result:
    """Ask both servers in turns, then watch the feed."""
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    with (
        children.serving("bench.http_server", Shelf(), Serving) as gateway,
        children.serving("bench.http_bare", gateway, Serving) as bare,
    ):
        for name, target in TARGETS.items():
            candidates = {"gateway": _Server(gateway, target), "starlette": _Server(bare, target)}
            if name == "bars":
                candidates["starlette_encoding"] = _Server(bare, ENCODED)
            asking = partial(_ask, options.messages or REQUESTS[name], gateway.tokens[0])
            readings = rounds.interleave(candidates, asking, options.runs)
            _check_same(name, readings)
            for candidate, taken in readings.items():
                figures |= _figures(f"{name}_{candidate}", taken)
                if candidate != "gateway":
                    ratio = rounds.median_ratio(readings["gateway"], taken, _per_second)
                    ratios[f"{name}_gateway_to_{candidate}"] = ratio
            figures[f"{name}_body_bytes"] = readings["gateway"][0].body_bytes
    downloads = [_download(options) for _ in range(options.runs)]
    figures |= _download_figures(downloads)
    growth = median(each.p99_during_s / each.p99_before_s if each.p99_before_s else 0.0 for each in downloads)
    ratios["feed_p99_during_to_before"] = growth
    compared = ("quotes_gateway_to_starlette", "book_gateway_to_starlette", "bars_gateway_to_starlette_encoding")
    targets = {f"{name} >= {RATIO_MIN}": ratios[name] >= RATIO_MIN for name in compared}
    targets[f"feed_p99_during_to_before <= {P99_GROWTH_MAX:g}"] = growth <= P99_GROWTH_MAX
    targets["feed_cuts == 0"] = figures["feed_cuts"] == 0
    return Result(name="http", figures=figures, ratios=ratios, targets=targets, machine=this_machine())


def _ask(requests: int, token: str, name: str, server: _Server) -> HttpReading:
    if sys.stderr.isatty():
        print(f"http: {name}, {server.target.partition('?')[0]} …", file=sys.stderr)
    load = HttpLoad(
        port=server.serving.port, pid=server.serving.pid, token=token, target=server.target, requests=requests
    )
    return children.run("bench.http_load", load, HttpReading, timeout_s=TIMEOUT_S)


def _check_same(name: str, readings: dict[str, list[HttpReading]]) -> None:
    digests = {candidate: {reading.digest for reading in taken} for candidate, taken in readings.items()}
    if len(set().union(*digests.values())) != 1:
        raise children.ChildError(f"{name}: the answers are not the same: {digests}")


def _figures(name: str, taken: list[HttpReading]) -> dict[str, float]:
    return {
        f"{name}_requests_per_second": rounds.median_of(taken, _per_second),
        f"{name}_requests_per_cpu_second": rounds.median_of(taken, _per_cpu_second),
        f"{name}_p50_us": rounds.median_of(taken, lambda reading: 1e6 * reading.p50_s),
        f"{name}_p99_us": rounds.median_of(taken, lambda reading: 1e6 * reading.p99_s),
    }


def _per_second(reading: HttpReading) -> float:
    return reading.requests / reading.wall_seconds


def _per_cpu_second(reading: HttpReading) -> float:
    return reading.requests / max(reading.server_cpu_seconds, 0.01)


def _download(options: Options) -> DownloadReading:
    is_short = options.messages is not None
    shelf = Shelf(instruments=500 if is_short else INSTRUMENTS, live=LIVE)
    if sys.stderr.isatty():
        print(f"http: {CATALOGUE} beside a feed …", file=sys.stderr)
    with children.serving("bench.http_server", shelf, Serving) as serving:
        load = DownloadLoad(serving=serving, target=CATALOGUE, live=LIVE, watch_s=0.3 if is_short else WATCH_S)
        return children.run("bench.http_feed_load", load, DownloadReading, timeout_s=TIMEOUT_S)


def _download_figures(downloads: list[DownloadReading]) -> dict[str, float]:
    return {
        "download_bytes": downloads[0].download_bytes,
        "download_ms": 1000 * median(each.download_s for each in downloads),
        "feed_p99_before_us": 1e6 * median(each.p99_before_s for each in downloads),
        "feed_p99_during_us": 1e6 * median(each.p99_during_s for each in downloads),
        "feed_max_during_us": 1e6 * max(each.max_during_s for each in downloads),
        "feed_samples_during": median(each.samples_during for each in downloads),
        "feed_cuts": float(sum(each.is_cut for each in downloads)),
    }
