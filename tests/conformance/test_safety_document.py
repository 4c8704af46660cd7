"""docs/safety.md says what the code does: fields, bounds, pauses."""

from __future__ import annotations

import re
from pathlib import Path

from tapewire.gateway.order_entry import COMMAND_DEADLINE_S
from tapewire.gateway.safeguards import CANCELS_AT_ONCE_MAX, DETACHED_MAX, RETRY_DELAYS_S, SHUTDOWN_S
from tapewire.gateway.safety import _LOOK_FROM, GUARDED_ORDERS_MAX
from tapewire.protocol.messages import SystemMessage
from tapewire.protocol.reading import camel
from tapewire.protocol.safety import CANCEL_AFTER_SECONDS_MAX, AskSafety, SafetyAnswer

DOCUMENT = (Path(__file__).parents[2] / "docs" / "safety.md").read_text()


def described(heading: str) -> set[str]:
    part = DOCUMENT[DOCUMENT.index(heading) :].split("\n\n")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", part, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_the_fields_are_all_described() -> None:
    assert described("| field of the request") == {camel(name) for name in AskSafety.__struct_fields__} - {"guid"}
    own = set(SafetyAnswer.__struct_fields__) - set(SystemMessage.__struct_fields__)
    assert described("| field of the answer") == {camel(name) for name in own}
    assert f"1 to {CANCEL_AFTER_SECONDS_MAX}" in DOCUMENT


def test_bounds_and_pauses_are_those_of_the_code() -> None:
    bounds = re.findall(r"^\| [^|]+ \| (\d+)[ ;|s]", DOCUMENT[DOCUMENT.index("## Bounds") :], re.MULTILINE)
    assert bounds == [f"{GUARDED_ORDERS_MAX}", f"{DETACHED_MAX}", f"{CANCELS_AT_ONCE_MAX}", f"{SHUTDOWN_S:g}"]
    first, last = (f"{delay:g}" for delay in (RETRY_DELAYS_S[0], RETRY_DELAYS_S[-1]))
    pauses = ", ".join(f"{delay:g}" for delay in RETRY_DELAYS_S[:-1])
    assert f"asked again after {pauses} and {last} s" in DOCUMENT, first
    assert f"says nothing of a cancellation for {COMMAND_DEADLINE_S:g} s" in DOCUMENT
    assert f"From {_LOOK_FROM} guarded orders" in DOCUMENT
