"""Where a command goes, and as whom: the options that all commands of the client share."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Optional

import typer

from tapewire.cli.program import MISUSE_STATUS, fail
from tapewire.client.endpoints import PRODUCTION, TEST, Endpoints
from tapewire.configuration import PROFILE_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE

__all__ = ["Contour", "ContourName", "ProfileName", "RefreshToken", "Url", "endpoints_of"]

Url = Annotated[
    Optional[str],  # noqa: UP045  (read by typer at run time)
    typer.Option(help=f"Base of the broker's addresses, http://host:port. Else ${URL_VARIABLE}, else local."),
]
RefreshToken = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(help=f"Refresh token. Better ${TOKEN_VARIABLE}: options are seen by other users."),
]
ProfileName = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--profile", help=f"Name of a profile, in place of --url. Else ${PROFILE_VARIABLE}."),
]


class ContourName(Enum):
    PRODUCTION = "production"
    TEST = "test"


_CONTOURS = {ContourName.PRODUCTION: PRODUCTION, ContourName.TEST: TEST}
Contour = Annotated[
    Optional[ContourName],  # noqa: UP045
    typer.Option(help="The broker itself, in place of --url.", case_sensitive=False),
]


def endpoints_of(url: str | None, contour: ContourName | None, profile: str | None = None) -> Endpoints | None:
    """Return the addresses that the options name, None where they name none; a bad value ends the program."""
    if url is not None and contour is not None:
        fail("--url and --contour say two places: give one", MISUSE_STATUS)
    if profile is not None and (url is not None or contour is not None):
        fail(
            f"--profile and {'--url' if contour is None else '--contour'} say two places: give one", MISUSE_STATUS
        )
    if contour is not None:
        return _CONTOURS[contour]
    try:
        return Endpoints.from_base(url) if url is not None else None
    except ValueError as error:
        fail(str(error), MISUSE_STATUS)
