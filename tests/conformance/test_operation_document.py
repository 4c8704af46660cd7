"""docs/operation.md says what the code does: limits with their defaults and counters, metrics, fields, points."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families

from tapewire import app
from tapewire.adapters import one_port
from tapewire.app import Settings
from tapewire.cli import main as cli
from tapewire.faults import strike_log
from tapewire.gateway.bounded_log import LINES_AT_ONCE_MAX, LINES_PER_SECOND
from tapewire.gateway.command_session import COMMANDS_WAITING_MAX
from tapewire.gateway.connection import FRAMES_PER_SECOND_MAX, READING_PAUSED_AT
from tapewire.gateway.http.admission import ANSWERS_AT_ONCE_MAX
from tapewire.gateway.limits import CUTS, Limit, Limits
from tapewire.gateway.misuse import POINTS
from tapewire.gateway.presence import ENDED_MAX, EndedSession, OpenSession
from tapewire.gateway.safety import GUARDED_ORDERS_MAX
from tapewire.protocol.limits import MESSAGE_BYTES_MAX, REQUEST_BACKLOG_BYTES_MAX
from tapewire.venues.intervals import INTERVALS_MAX
from unit.gateway.world import TRADES, World, run

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operation.md").read_text()
#: Rows of the table of limits: counter and label → default, setting, what happens.
ROWS = {
    (counter, label): (default, setting, what)
    for default, setting, what, counter, label in re.findall(
        r"^\| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \| `(\w+)\{\w+=\"(\w+)\"\}` \|$", DOCUMENT, re.MULTILINE
    )
}
FIXED = {
    "frames_per_second": FRAMES_PER_SECOND_MAX,
    "message_bytes": MESSAGE_BYTES_MAX,
    "request_backlog": REQUEST_BACKLOG_BYTES_MAX,
    "commands_waiting": COMMANDS_WAITING_MAX,
    "guarded_orders": GUARDED_ORDERS_MAX,
    "none": one_port.HEAD_DEADLINE_S,
    "431": one_port.HEAD_BYTES_MAX,
    "429": one_port.PIPELINED_MAX,
    "streams_of_the_venue": INTERVALS_MAX,
    "http_requests_at_once": ANSWERS_AT_ONCE_MAX,
}
#: Option → field of ``Limits``.
OPTIONS = {
    "--connections-per-address": "connections_per_address",
    "--authorise-seconds": "authorise_within_s",
    "--misuse-points": "misuse_points",
    "--misuse-block-seconds": "misuse_block_s",
}
DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Limits)}


def options(command: Any) -> dict[str, Any]:
    """Return the defaults of a command's options by their long names."""
    click = typer.main.get_command(cli.app).commands[command]  # type: ignore[attr-defined]
    return {name: option.default for option in click.params for name in option.opts if name.startswith("--")}


def test_every_limit_has_one_row_and_every_row_a_limit() -> None:
    wanted = {("cuts" if limit in CUTS else "refusals", limit.value) for limit in Limit}
    assert set(ROWS) == wanted | {("handshakes_refused", status) for status in ("none", "429", "431")}
    assert len(re.findall(r"`(?:cuts|refusals|handshakes_refused)\{", DOCUMENT)) == len(ROWS)


@pytest.mark.parametrize(("counter", "label"), ROWS)
def test_defaults_and_settings_are_those_of_the_code(counter: str, label: str) -> None:
    default, setting, _ = ROWS[counter, label]
    if setting == "fixed":
        assert default == "–" if label == "unreadable" else float(default) == FIXED[label]
        return
    name = re.findall(r"`([^`]+)`", setting)[0]
    if name == "http_requests_per_second":
        assert int(default) == Settings().http_requests_per_second
        return
    field = OPTIONS[name] if name.startswith("--") else name.removeprefix("limits.")
    assert (None if default == "none" else float(default)) == DEFAULTS[field]


def test_every_field_of_the_limits_is_in_the_document() -> None:
    documented = {f"limits.{name}" for name in DEFAULTS} - {f"limits.{name}" for name in OPTIONS.values()}
    assert all(f"`{name}`" in DOCUMENT for name in (*documented, *OPTIONS))


@pytest.mark.parametrize("command", ["up", "run"])
def test_options_exist_and_have_the_defaults_of_the_settings(command: str) -> None:
    found = options(command)
    for option, field in OPTIONS.items():
        assert found[option] == DEFAULTS[field], option
    assert found["--drain-seconds"] == Settings().drain_s == app.DRAIN_S
    assert f"`--drain-seconds` ({app.DRAIN_S:g})" in DOCUMENT
    assert f"`--misuse-block-seconds` ({DEFAULTS['misuse_block_s']:g})" in DOCUMENT
    assert {"--log-format", "--log-level", "--admin-token"} <= found.keys()


def test_cuts_say_their_close_code_and_refusals_theirs() -> None:
    for (counter, label), (_, _, what) in ROWS.items():
        assert ("closed with 1" in what) == (counter == "cuts"), label
        assert re.search(r"answered 4\d\d", what) or counter == "cuts" or label == "none", label
    assert f"while {READING_PAUSED_AT} messages wait" in ROWS["cuts", "request_backlog"][2]


def test_points_and_bounds_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| (a [^|]+) \| (\d+) \|$", DOCUMENT, re.MULTILINE))
    assert {what: int(points) for what, points in rows.items()} == {
        offence.value: points for offence, points in POINTS.items()
    }
    assert f"the last {ENDED_MAX}" in DOCUMENT
    assert f"{LINES_AT_ONCE_MAX} such lines at once and then {LINES_PER_SECOND:g} a second" in DOCUMENT
    of_faults = f"{strike_log.LINES_AT_ONCE_MAX} lines at once and then {strike_log.LINES_PER_SECOND:g} a second"
    assert of_faults in DOCUMENT
    assert f"({strike_log.PATH_CHARACTERS_MAX} characters of it)" in DOCUMENT
    assert f"({app.ADMIN_TOKEN_CHARACTERS_MIN} characters at least)" in DOCUMENT


def test_the_fields_of_sessions_are_all_described() -> None:
    part = DOCUMENT[DOCUMENT.index("## Sessions") : DOCUMENT.index("## Limits")]
    described = {
        name
        for cell in re.findall(r"^\| (`[^|]+`) \|", part, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cell)
    }
    fields = {*OpenSession.__struct_fields__, *EndedSession.__struct_fields__}
    assert described == fields


def test_the_metrics_are_all_described_and_exist() -> None:
    part = DOCUMENT[DOCUMENT.index("## Metrics") : DOCUMENT.index("## Logs")]
    described = dict(re.findall(r"`(tapewire_\w+)(?:\{(\w+)\})?`", part))
    found: dict[str, str] = {}

    async def scenario(world: World) -> None:
        peer = await world.connect()
        await peer.asked(TRADES, "t")
        (await world.connect()).transport.abort()
        await world.http.request("GET", "http://gateway/md/v2/time", timeout_s=10)
        await asyncio.sleep(1)
        world.gateway.counters.handshakes_refused["404"] += 1
        world.gateway.counters.faults_struck = {"cut-1": 1}
        names = ("records", "syncs", "refused", "waiting", "bytes", "usable")
        world.gateway.counters.journal = lambda: dict.fromkeys(names, 1)
        for family in text_string_to_metric_families((await world.ask_admin("/metrics"))[1].decode()):
            total = "_total" if family.type == "counter" else ""
            if family.name.startswith("tapewire_"):
                found[family.name + total] = next(iter(family.samples[0].labels), "")

    run(scenario, safety=True)
    assert described == found


def test_the_events_of_the_log_are_those_of_the_code() -> None:
    source = "".join(inspect.getsource(module) for module in _modules())
    for event in re.findall(r"^\| `([a-z ]+)` \| (?:debug|info|warning|error)", DOCUMENT, re.MULTILINE):
        assert f'"{event}"' in source, event


def _modules() -> list[Any]:
    from tapewire.gateway import gateway, presence, safeguards, standing

    return [gateway, presence, safeguards, standing, strike_log]
