"""The README's table of errors: what the classes say."""

from __future__ import annotations

import re
from pathlib import Path

import tapewire

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(r"^\| `(\w+Error)` \| [^|]+ \| (\w+) \| ([\w ]+) \|$", re.MULTILINE)


def test_every_error_is_in_the_readme_as_it_is() -> None:
    stated = {name: (fault, retriable) for name, fault, retriable in ROW.findall(README.read_text())}
    errors = {
        name: error
        for name in tapewire.__all__
        if isinstance(error := getattr(tapewire, name), type)
        and issubclass(error, tapewire.TapewireError)
        and error is not tapewire.TapewireError
    }
    assert stated == {name: (error.fault.value, retriable(error)) for name, error in errors.items()}


def retriable(error: type[tapewire.TapewireError]) -> str:
    # A property decides by what the error holds.
    return {True: "yes", False: "no"}[error.retriable] if isinstance(error.retriable, bool) else "by code"
