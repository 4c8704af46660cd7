"""Where a command goes, how, and as whom: the options that all commands of the client share."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, NamedTuple, Optional, TypedDict

import typer

from tapewire.cli.program import MISUSE_STATUS, fail
from tapewire.client.endpoints import PRODUCTION, TEST, Endpoints
from tapewire.configuration import (
    CA_FILE_VARIABLE,
    PROFILE_VARIABLE,
    PROXY_VARIABLE,
    TOKEN_VARIABLE,
    URL_VARIABLE,
)

__all__ = ["Arguments", "BrokerOptions", "CaFile", "Proxy", "Url", "check_url"]

_PANEL = "The broker"
Url = Annotated[
    Optional[str],  # noqa: UP045  (read by typer at run time)
    typer.Option(
        help=f"Base of the broker's addresses, http://host:port. Else ${URL_VARIABLE}, else local.",
        rich_help_panel=_PANEL,
    ),
]
RefreshToken = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        help=f"Refresh token. Better ${TOKEN_VARIABLE}: options are seen by other users.", rich_help_panel=_PANEL
    ),
]
ProfileName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--profile",
        help=f"Name of a profile, in place of --url. Else ${PROFILE_VARIABLE}.",
        rich_help_panel=_PANEL,
    ),
]


class ContourName(Enum):
    PRODUCTION = "production"
    TEST = "test"


_CONTOURS = {ContourName.PRODUCTION: PRODUCTION, ContourName.TEST: TEST}
Proxy = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        help=f"http://host:port or socks5://host:port; direct: none. Else ${PROXY_VARIABLE}.",
        rich_help_panel=_PANEL,
    ),
]
CaFile = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        help=f"PEM file of certificate authorities to trust beside the system's. Else ${CA_FILE_VARIABLE}.",
        rich_help_panel=_PANEL,
    ),
]
Contour = Annotated[
    Optional[ContourName],  # noqa: UP045
    typer.Option(help="The broker itself, in place of --url.", case_sensitive=False, rich_help_panel=_PANEL),
]


class Arguments(TypedDict):
    """Of ``connect`` and of what else asks a broker."""

    endpoints: Endpoints | None
    profile: str | None
    refresh_token: str | None
    proxy: str | None
    ca_file: str | None


class BrokerOptions(NamedTuple):
    """Where to, as whom and how."""

    url: Url = None
    contour: Contour = None
    profile: ProfileName = None
    refresh_token: RefreshToken = None
    proxy: Proxy = None
    ca_file: CaFile = None

    def __repr__(self) -> str:
        # Token and proxy may be secrets.
        return f"<BrokerOptions {self.url or self.contour or self.profile}>"

    def arguments(self) -> Arguments:
        """Return what connecting takes; options that cannot be end the program."""
        return {
            "endpoints": self._endpoints(),
            "profile": self.profile,
            "refresh_token": self.refresh_token,
            "proxy": self.proxy,
            "ca_file": self.ca_file,
        }

    def _endpoints(self) -> Endpoints | None:
        if self.url is not None and self.contour is not None:
            fail("--url and --contour say two places: give one", MISUSE_STATUS)
        if self.profile is not None and (self.url is not None or self.contour is not None):
            other = "--url" if self.contour is None else "--contour"
            fail(f"--profile and {other} say two places: give one", MISUSE_STATUS)
        if self.contour is not None:
            return _CONTOURS[self.contour]
        return check_url(self.url)


def check_url(url: str | None) -> Endpoints | None:
    """Return the addresses of a system; what is no address ends the program."""
    try:
        return Endpoints.from_base(url) if url is not None else None
    except ValueError as error:
        fail(str(error), MISUSE_STATUS)
