"""The other load of ``http``: a session that watches live books while a long answer is downloaded."""

from __future__ import annotations

import selectors
import sys
import time
from statistics import median

import msgspec

from bench.books_server import BOARD, Serving, symbol
from bench.http_client import HttpConnection, get
from bench.join_load import WINDOW_MS, Watch, percentile, read_for
from bench.raw_session import RawSession, drain, subscribe_book

__all__ = ["DownloadLoad", "DownloadReading"]


class DownloadLoad(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask, and for how long: downloads follow each other."""

    serving: Serving
    target: str
    live: int
    watch_s: float


class DownloadReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen. A download takes as long as ``download_s``, the median."""

    downloads: int
    download_bytes: int
    download_s: float
    p99_before_s: float
    p99_during_s: float
    max_during_s: float
    samples_during: int
    is_cut: bool


def _run(load: DownloadLoad) -> DownloadReading:
    selector = selectors.DefaultSelector()
    watching = RawSession(load.serving.port, is_kept=True)
    seen = Watch(watching, load.live)
    selector.register(watching.socket, selectors.EVENT_READ, watching)
    token = load.serving.tokens[0]
    for number in range(load.live):
        watching.send(subscribe_book(f"watch-{number}", token, symbol(number), BOARD, window_ms=WINDOW_MS))
        # Feeds that begin together would end their windows together.
        drain(selector, 0.002)
    read_for(selector, 0.3)
    seen.take()
    read_for(selector, load.watch_s)
    before = seen.take()

    downloading = HttpConnection(load.serving.port)
    request = get(load.target, load.serving.tokens[1])
    selector.register(downloading.socket, selectors.EVENT_READ, downloading)
    took: list[float] = []
    size = 0
    began = time.monotonic()
    downloading.ask(request)
    while not watching.is_cut:
        # The session first: what the download costs this process is not the gateway's lateness.
        for key, _ in sorted(selector.select(), key=lambda ready: ready[0].data is downloading):
            if key.data is watching:
                watching.read()
            elif downloading.read():
                took.append(time.monotonic() - downloading.asked_at)
                size = downloading.bytes
                if time.monotonic() - began < load.watch_s:
                    downloading.ask(request)
        if len(took) and downloading.bytes == size and time.monotonic() - began >= load.watch_s:
            break
    during = seen.take()
    reading = DownloadReading(
        downloads=len(took),
        download_bytes=size,
        download_s=median(took),
        p99_before_s=percentile(before, 0.99),
        p99_during_s=percentile(during, 0.99),
        max_during_s=max(during, default=0.0),
        samples_during=len(during),
        is_cut=watching.is_cut,
    )
    watching.close()
    downloading.close()
    return reading


if __name__ == "__main__":
    print(msgspec.json.encode(_run(msgspec.json.decode(sys.argv[1], type=DownloadLoad))).decode())
