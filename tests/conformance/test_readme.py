"""The README's table of errors: what the classes say."""

from __future__ import annotations

import re
from pathlib import Path

import tapewire
from tapewire.client import errors

README = Path(__file__).parents[2] / "README.md"
NEXT = {"final": "no", "retriable": "yes"}
DRAWN = re.compile(r"── (\w+) .*  (caller|network|broker|by \w+) +(final|retriable|by \w+)")
ROW = re.compile(r"^\| `(\w+Error)` \| [^|]+ \| ([\w ]+) \| ([\w ]+) \|$", re.MULTILINE)


def test_every_error_is_in_the_readme_as_it_is() -> None:
    stated = {name: (fault, retriable) for name, fault, retriable in ROW.findall(README.read_text())}
    names = {
        name
        for name in tapewire.__all__
        if isinstance(error := getattr(tapewire, name), type)
        and issubclass(error, tapewire.TapewireError)
        and error is not tapewire.TapewireError
    }
    # The drawing is held against the classes by a test of its own.
    drawn = {name: (fault, NEXT.get(what, what)) for name, fault, what in DRAWN.findall(errors.__doc__ or "")}
    assert set(stated) == names
    assert stated == drawn
