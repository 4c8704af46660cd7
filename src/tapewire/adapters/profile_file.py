"""The file of profiles: ``tapewire/profiles.toml`` in the user's folder for settings, for the user's eyes only."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

__all__ = ["ProfileFile", "ProfileFileError"]

B = TypeVar("B", bound=msgspec.Struct)

#: A file larger than this is no file of profiles.
FILE_BYTES_MAX = 1024 * 1024


class ProfileFileError(Exception):
    """The file cannot be used; the text says why in one line."""


class ProfileFile(Generic[B]):
    """Reads and writes the profiles of a user. A file that others could read or change is refused.

    Args:
        path: Where it is.
        kind: What is in it: a few strings, and a table of tables of strings and booleans, ``profiles``. Without
            arguments it is what is read where there is no file.
    """

    def __init__(self, path: Path, kind: type[B]) -> None:
        self.path = path
        self._kind = kind

    @classmethod
    def of_user(cls, environment: Mapping[str, str], kind: type[B]) -> ProfileFile[B]:
        """Return the file under ``XDG_CONFIG_HOME``, else under ``.config`` of the home folder."""
        base = environment.get("XDG_CONFIG_HOME") or ""
        # A relative one is to be ignored, says its specification.
        folder = (
            Path(base) if Path(base).is_absolute() else Path(environment.get("HOME") or Path.home()) / ".config"
        )
        return cls(folder / "tapewire" / "profiles.toml", kind)

    def read(self) -> B:
        """Return what is in the file; nothing where there is none.

        Raises:
            ProfileFileError: It cannot be read, others can, or it is no file of profiles. The text shows no value.
        """
        try:
            with self.path.open("rb") as file:
                self._demand_private(os.fstat(file.fileno()))
                content = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError:
            # Most programs have none: what reads it is imported with the first, so that they start quickly.
            return self._kind()
        except OSError as error:
            raise ProfileFileError(f"cannot read {self.path}: {error.strerror}") from error
        if len(content) > FILE_BYTES_MAX:
            raise ProfileFileError(f"cannot read {self.path}: larger than {FILE_BYTES_MAX} bytes")
        import tomllib

        try:
            return msgspec.convert(tomllib.loads(content.decode()), self._kind)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            # Without its cause: that holds the whole file.
            where = str(error).rpartition("(")[2].rstrip(")") if isinstance(error, tomllib.TOMLDecodeError) else ""
            raise ProfileFileError(f"cannot read {self.path}: not TOML{where and f' ({where})'}") from None
        except msgspec.ValidationError as error:
            raise ProfileFileError(f"cannot read {self.path}: {error}") from None

    def write(self, book: B) -> None:
        """Put these profiles in the place of those in the file, all or nothing.

        Raises:
            ProfileFileError: It cannot be written.
        """
        draft = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(_toml(msgspec.to_builtins(book)))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except OSError as error:
            raise ProfileFileError(f"cannot write {self.path}: {error.strerror}") from error

    def _demand_private(self, status: os.stat_result) -> None:
        if not hasattr(os, "getuid"):  # modes mean nothing there
            return
        if status.st_uid != os.getuid():
            raise ProfileFileError(f"{self.path} belongs to somebody else: refused")
        if stat.S_IMODE(status.st_mode) & 0o177:
            raise ProfileFileError(f"{self.path} is open to others: refused; chmod 600 {self.path}")


def _toml(book: Mapping[str, Any]) -> str:
    """Write a book as TOML: tables of strings and booleans, of which the escapes of JSON are a subset."""
    lines = _fields({name: value for name, value in book.items() if name != "profiles"})
    for name, profile in book["profiles"].items():
        lines += ["", f"[profiles.{name}]", *_fields(profile)]
    return "\n".join(lines) + "\n"


def _fields(table: Mapping[str, str | bool | None]) -> list[str]:
    return [f"{name} = {_value(value)}" for name, value in table.items() if value is not None]


def _value(value: str | bool) -> str:
    import json

    # TOML wants the one control character escaped that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
