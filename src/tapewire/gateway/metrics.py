"""The gateway's numbers for Prometheus, read when they are asked for: delivering a message pays nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from tapewire.gateway.connection import Connection
from tapewire.gateway.counters import Counters
from tapewire.gateway.http.throttle import Throttle
from tapewire.gateway.hub import Hub
from tapewire.gateway.limits import CUTS, Limit
from tapewire.gateway.misuse import Misuse
from tapewire.gateway.presence import Presence
from tapewire.gateway.safeguards import Safeguards
from tapewire.gateway.safety import Cause

__all__ = ["METRICS_TYPE", "GatewayCollector", "metrics_text"]

METRICS_TYPE = CONTENT_TYPE_LATEST


class GatewayCollector(Collector):
    """Reads what the parts of one gateway count anyway."""

    def __init__(
        self,
        counters: Counters,
        presence: Presence,
        hub: Hub,
        throttle: Throttle,
        misuse: Misuse,
        now: Callable[[], float],
        safeguards: Safeguards | None = None,
    ) -> None:
        self._counters = counters
        self._presence = presence
        self._hub = hub
        self._throttle = throttle
        self._misuse = misuse
        self._now = now
        self._safeguards = safeguards

    def collect(self) -> Iterable[Metric]:
        """Yield every metric of the gateway as it is now."""
        yield from self._sessions()
        yield from self._queues(self._presence.connections)
        yield from self._hub_metrics()
        yield from self._refusals()
        yield from self._journal()
        if self._safeguards is not None:
            yield from self._safety(self._safeguards)

    def _sessions(self) -> Iterator[Metric]:
        counters, presence = self._counters, self._presence
        connections = presence.connections
        paths = dict.fromkeys(counters.opened, 0)
        unauthorised = requests = 0
        for standing in presence.standings:
            paths[standing.path] += 1
            unauthorised += standing.login is None
            requests += standing.requests
        outboxes = [connection.outbox for connection in connections]
        messages = counters.messages + sum(outbox.taken for outbox in outboxes)
        octets = counters.bytes + sum(outbox.taken_bytes for outbox in outboxes)
        yield _labelled_gauge("sessions", "Sessions that are open", "path", paths)
        yield _gauge("sessions_unauthorised", "Open sessions that have shown no good token", unauthorised)
        yield _labelled("sessions_opened", "Sessions that were opened", "path", counters.opened)
        ended = {str(code): count for code, count in counters.ended.items()}
        yield _labelled("sessions_ended", "Sessions that have ended, by close code", "code", ended)
        yield _gauge("subscriptions", "Live subscriptions", sum(each.subscriptions for each in connections))
        yield _counter("requests", "Messages of clients on both sockets", counters.requests + requests)
        yield _counter("delivered_messages", "Messages handed to the sockets of sessions", messages)
        yield _counter("delivered_bytes", "Bytes of these messages", octets)

    def _queues(self, connections: tuple[Connection, ...]) -> Iterator[Metric]:
        queued = [connection.outbox.count for connection in connections]
        oldest = [at for connection in connections if (at := connection.outbox.oldest_s) is not None]
        waited_s = self._now() - min(oldest) if oldest else 0.0
        yield _gauge("queued_messages", "Messages that wait for the sockets of all sessions", sum(queued))
        yield _gauge("queued_messages_largest", "Messages that wait in the longest queue", max(queued, default=0))
        yield _gauge("queued_oldest_seconds", "How long the oldest message has waited", waited_s)

    def _hub_metrics(self) -> Iterator[Metric]:
        hub = self._hub
        windows = hub.windows
        yield _gauge("topics", "Topics that are open at the venue", hub.topics)
        yield _gauge("feeds", "Feeds: topics by format, depth and frequency", hub.feeds)
        yield _counter("encoded_records", "Records that were encoded", hub.encoded)
        yield _counter("windows_ended", "Windows that have ended", windows.ended)
        yield _counter("window_lateness_seconds", "How late windows ended, in all", windows.late_s)
        yield _gauge("window_lateness_seconds_max", "How late the latest window ended", windows.latest_s)

    def _refusals(self) -> Iterator[Metric]:
        counters = self._counters
        # All of them from the beginning: a series that appears with its first event hides it.
        cuts = {limit.value: counters.cuts[limit] for limit in Limit if limit in CUTS}
        refusals = {limit.value: counters.refusals[limit] for limit in Limit if limit not in CUTS}
        refusals[Limit.HTTP_REQUESTS_PER_SECOND.value] = self._throttle.refused
        yield _labelled("cuts", "Sessions that were ended for a limit", "limit", cuts)
        yield _labelled("refusals", "Requests and handshakes refused for a limit", "limit", refusals)
        handshakes = counters.handshakes_refused
        yield _labelled("handshakes_refused", "Connections turned away, by status", "status", handshakes)
        yield _gauge("misuse_blocked", "Logins and addresses that are blocked", self._misuse.blocked)
        answers = counters.http_answers
        yield _labelled("http_answers", "Answers of HTTP, by class of the status", "status", answers)
        struck = counters.faults_struck
        yield _labelled("faults_struck", "Faults that were committed on command", "fault", struck)
        yield _gauge(
            "http_requests_active", "Requests over HTTP that are being answered", len(counters.http_requests)
        )

    def _journal(self) -> Iterator[Metric]:
        figures = self._counters.journal()
        if not figures:
            return
        yield _counter("journal_records", "Entries that the journal has written", figures["records"])
        yield _counter("journal_syncs", "Syncs that wrote them", figures["syncs"])
        yield _counter("journal_refused", "Entries that were refused or failed", figures["refused"])
        yield _gauge("journal_waiting", "Entries that wait for the disk", figures["waiting"])
        yield _gauge("journal_bytes", "What journal and snapshots take on the disk", figures["bytes"])
        yield _gauge("journal_usable", "1 while the journal takes entries, else 0", figures["usable"])

    def _safety(self, safeguards: Safeguards) -> Iterator[Metric]:
        counters = self._counters
        yield _gauge("safety_connections", "Connections whose orders are guarded", safeguards.guarded)
        yield _gauge("safety_timers", "Timers that are armed", safeguards.timers)
        fired = {cause.value: counters.safety_fired[cause] for cause in Cause}
        yield _labelled("safety_fired", "Times that guarded orders were to be cancelled", "cause", fired)
        yield _counter("safety_orders_cancelled", "Guarded orders that were cancelled", counters.safety_cancelled)
        yield _counter("safety_orders_left", "Guarded orders that could not be", counters.safety_left)


def metrics_text(collector: GatewayCollector) -> Callable[[], bytes]:
    """Return what writes the metrics of a gateway and its process, from a registry of their own."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"tapewire_{name}", text, value=value)


def _labelled_gauge(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    metric = GaugeMetricFamily(f"tapewire_{name}", text, labels=[label])
    for value, count in values.items():
        metric.add_metric([value], count)
    return metric


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"tapewire_{name}", text, value=value)


def _labelled(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    metric = CounterMetricFamily(f"tapewire_{name}", text, labels=[label])
    for value, count in values.items():
        metric.add_metric([value], count)
    return metric
