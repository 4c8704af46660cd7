"""Reading a file of faults: TOML, strict, one clear line for the first thing that is wrong.

A file is ``seed = 7`` and any number of ``[[fault]]`` tables; docs/faults.md is its guide.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tapewire.faults.kinds import FaultKind, Since, Trigger, Whose
from tapewire.faults.rule import DURATION_KEYS, FaultRule

__all__ = ["FILE_BYTES_MAX", "RULES_MAX", "Faults", "FaultsError", "read_faults", "read_faults_file"]

#: Each rule is asked about each message.
RULES_MAX = 100
FILE_BYTES_MAX = 256 * 1024

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_KEYS = tuple(field.encode_name for field in msgspec.structs.fields(FaultRule))
_WORDS = {"kind": FaultKind, "on": Trigger, "since": Since, "whose": Whose}
_TYPE = re.compile(r"Expected `(\w+)[^`]*`, got `(\w+)` - at `\$\.(\w+)`")


class FaultsError(Exception):
    """Faults cannot be read; the text is one line that says where and why."""


class Faults(msgspec.Struct, frozen=True):
    """Faults and the seed that decides all that they draw.

    Raises:
        FaultsError: On construction: too many rules, or two of the same name.
    """

    rules: tuple[FaultRule, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.rules) > RULES_MAX:
            raise FaultsError(f"at most {RULES_MAX} faults")
        places: dict[str, int] = {}
        for number, name in enumerate(self.names, 1):
            if name in places:
                raise FaultsError(f"fault {number}: the name {name!r} is that of fault {places[name]}")
            places[name] = number

    @property
    def names(self) -> Sequence[str]:
        """The name of each rule, as logs and counters have it."""
        return [rule.name or f"{rule.kind}-{number}" for number, rule in enumerate(self.rules, 1)]


def read_faults_file(path: Path) -> Faults:
    """Read a file of faults.

    Raises:
        FaultsError: It cannot be read, is not right, or orders nothing; the text begins with the path.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise FaultsError(f"{path}: {error.strerror or error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise FaultsError(f"{path}: more than {FILE_BYTES_MAX} bytes")
    try:
        faults = read_faults(data.decode())
    except UnicodeDecodeError as error:
        raise FaultsError(f"{path}: no UTF-8 text") from error
    except FaultsError as error:
        raise FaultsError(f"{path}: {error}") from error
    if not faults.rules:
        # Whoever gives a file wants faults; a day without any would seem a day well survived.
        raise FaultsError(f"{path}: no [[fault]] in it")
    return faults


def read_faults(text: str) -> Faults:
    """Read faults from the text of a file.

    Raises:
        FaultsError: Where and why not, in one line: ``fault 3: unknown key 'evry', did you mean 'every'?``
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also whole numbers of thousands of digits
        raise FaultsError(f"no TOML: {error}") from error
    _check_keys(content, ("seed", "fault"))
    seed = content.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise FaultsError("seed is a whole number")
    tables = content.get("fault", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise FaultsError("faults are tables: [[fault]]")
    return Faults(tuple(_read_rule(table, number) for number, table in enumerate(tables, 1)), seed)


def _read_rule(table: dict[str, Any], number: int) -> FaultRule:
    try:
        _check_keys(table, _KEYS)
        if "kind" not in table:
            raise FaultsError(f"kind is missing: one of {', '.join(FaultKind)}")
        for key, words in _WORDS.items():
            if key in table and table[key] not in tuple(words):
                raise FaultsError(f"{key} is one of {', '.join(words)}")
        durations = {key: _seconds(key, table[key]) for key in DURATION_KEYS if key in table}
        return msgspec.convert(table | durations, FaultRule)
    except msgspec.ValidationError as error:
        raise FaultsError(f"fault {number}: {_explained(str(error))}") from error
    except FaultsError as error:
        raise FaultsError(f"fault {number}: {error}") from error


def _check_keys(table: dict[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            raise FaultsError(f"unknown key {key!r}" + (f", did you mean {close[0]!r}?" if close else ""))


def _seconds(key: str, value: object) -> float:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise FaultsError(f'{key} is a time with its unit, such as "500ms", "30s", "5m" or "2h"')
    return float(found[1]) * _UNITS_S[found[2]]


def _explained(error: str) -> str:
    """Put the complaint of the decoder into the words of the file; our own are there already."""
    found = _TYPE.match(error)
    names = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false"}
    return f"{found[3]} is {names.get(found[1], found[1])}" if found else error
