"""From a trade in the venue to the program's handler on one machine, beside half of a TCP echo's round trip.

Both carry as many bytes at the same pace in the same run, so that the ratio says what gateway and client add to
kernel and loop. The gateway is a process of its own, and so is the echo; program and echo's client are one.
"""

from __future__ import annotations

from bench import children, rounds
from bench.latency_load import LatencyLoad, LatencyReading
from bench.latency_server import Asked, LatencyServing
from bench.machine import this_machine
from bench.options import Options
from bench.pace import Work
from bench.result import Result

__all__ = ["measure"]

RATES = (1_000, 10_000)
SECONDS = 2.0
TIMEOUT_S = 60.0
TIMES_ECHO_MAX = 3.0


def measure(options: Options) -> Result:
    """Measure each rate once a round."""
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    with (
        children.serving("bench.latency_server", Asked(is_echo=False), LatencyServing) as gateway,
        children.serving("bench.latency_server", Asked(is_echo=True), LatencyServing) as echo,
    ):

        def once(name: str, rate: int) -> LatencyReading:
            work = Work(events=options.messages or int(SECONDS * rate), events_per_second=rate)
            load = LatencyLoad(gateway=gateway, echo=echo, work=work)
            return children.run("bench.latency_load", load, LatencyReading, timeout_s=TIMEOUT_S)

        readings = rounds.interleave({f"at_{rate}": rate for rate in RATES}, once, options.runs)
    for name, taken in readings.items():
        figures[f"{name}_p50_us"] = 1e6 * rounds.median_of(taken, lambda reading: reading.p50_s)
        figures[f"{name}_p99_us"] = 1e6 * rounds.median_of(taken, lambda reading: reading.p99_s)
        figures[f"{name}_half_echo_p50_us"] = 1e6 * rounds.median_of(
            taken, lambda reading: reading.half_echo_p50_s
        )
        figures[f"{name}_half_echo_p99_us"] = 1e6 * rounds.median_of(
            taken, lambda reading: reading.half_echo_p99_s
        )
        figures["message_bytes"] = float(taken[0].message_bytes)
        ratios[f"{name}_p50_to_half_echo"] = rounds.median_of(
            taken, lambda reading: reading.p50_s / reading.half_echo_p50_s
        )
        ratios[f"{name}_p99_to_half_echo"] = rounds.median_of(
            taken, lambda reading: reading.p99_s / reading.half_echo_p99_s
        )
    seen = ratios["at_1000_p50_to_half_echo"]
    return Result(
        name="latency",
        figures=figures,
        ratios=ratios,
        targets={f"at_1000_p50_to_half_echo <= {TIMES_ECHO_MAX:g}": seen <= TIMES_ECHO_MAX},
        machine=this_machine(),
    )
