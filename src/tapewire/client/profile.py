"""A profile: where a broker is and as whom one comes there, under a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tapewire.client.endpoints import PRODUCTION, TEST, Endpoints

__all__ = ["BUILT_IN", "CONTOURS", "LOCAL", "Profile", "ProfileBook", "check_profile_name"]

#: The contour of the trading system that runs on this machine; its addresses are found, not known.
LOCAL = "local"
CONTOURS: Mapping[str, Endpoints | None] = {"production": PRODUCTION, "test": TEST, LOCAL: None}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one name stands for. Its printed form has neither token nor proxy.

    Raises:
        ValueError: It does not say one place, or two sources of its token; on construction.
    """

    #: ``production``, ``test`` or ``local``.
    contour: str | None = None
    #: Base of a system that serves everything on one port, in place of ``contour``.
    url: str | None = None
    #: A secret. None: from elsewhere.
    refresh_token: str | None = None
    #: Whether the refresh token is in the keyring of the system.
    keyring: bool = False
    #: As ``connect(proxy=…)``; may hold a password.
    proxy: str | None = None
    #: As ``connect(ca_file=…)``.
    ca_file: str | None = None

    def __post_init__(self) -> None:
        if (self.contour is None) == (self.url is None):
            raise ValueError("a profile has either a contour or a url")
        if self.contour is not None and self.contour not in CONTOURS:
            raise ValueError(f"there is no contour {self.contour!r}: {', '.join(CONTOURS)}")
        if self.url is not None:
            Endpoints.from_base(self.url)
        if self.keyring and self.refresh_token is not None:
            raise ValueError("a profile has its refresh token in the keyring or in the file, not in both")

    @property
    def endpoints(self) -> Endpoints | None:
        """The addresses; None: those of the system that runs on this machine."""
        return Endpoints.from_base(self.url) if self.url is not None else CONTOURS[self.contour or LOCAL]

    @property
    def place(self) -> str:
        """The contour or the address, for people."""
        return self.contour or self.url or ""

    def __repr__(self) -> str:
        return f"Profile({self.place!r}, ***)"

    def __rich_repr__(self) -> list[Any]:
        # What pretty printers ask for instead.
        return [self.place, "***"]


#: Profiles that are there without a file; one of the same name in the file takes its place.
BUILT_IN = {name: Profile(contour=name) for name in CONTOURS}


class ProfileBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All profiles of a user, and which of them is used where none is named."""

    default: str | None = None
    profiles: dict[str, Profile] = {}

    def __post_init__(self) -> None:
        for name in self.profiles:
            check_profile_name(name)
        if self.default is not None and self.default not in self.profiles and self.default not in BUILT_IN:
            raise ValueError("the default is no profile")

    def find(self, name: str) -> Profile | None:
        """Return a profile, of the file or built in; None: there is none of this name."""
        return self.profiles.get(name) or BUILT_IN.get(name)


def check_profile_name(name: str) -> None:
    """Look whether a profile may be called so.

    Raises:
        ValueError: It may not.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is no name of a profile: letters, digits, - and _, at most 64")
