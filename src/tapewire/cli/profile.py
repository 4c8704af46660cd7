"""``tapewire profile``: where brokers are and as whom one comes there, under names.

Statuses: 0 done, 1 the file or the keyring cannot be used, 2 what was asked for cannot be.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable
from typing import Annotated, Optional, TypeVar

import typer

from tapewire.cli.endpoint_options import ContourName
from tapewire.cli.program import MISUSE_STATUS, fail
from tapewire.client.profile import BUILT_IN, CONTOURS, Profile
from tapewire.profiles import (
    KeyringTokenError,
    ProfileFileError,
    add_profile,
    list_profiles,
    remove_profile,
    use_profile,
)

__all__ = ["profile"]

T = TypeVar("T")

profile = typer.Typer(
    help="Names for brokers: address, refresh token, proxy, certificate authority.",
    no_args_is_help=True,
    add_completion=False,
)
Name = Annotated[str, typer.Argument(help="Of the profile.")]
#: What a line with a refresh token may have at most.
TOKEN_CHARACTERS_MAX = 4_096


@profile.command("add")
def add(
    name: Name,
    contour: Annotated[
        Optional[ContourName],  # noqa: UP045  (read by typer at run time)
        typer.Option(help="The broker itself. Default: the one that the profile is called after."),
    ] = None,
    url: Annotated[Optional[str], typer.Option(help="Base of the addresses, in place of --contour.")] = None,  # noqa: UP045
    proxy: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="http://host:port, socks5://host:port, or direct."),
    ] = None,
    ca_file: Annotated[Optional[str], typer.Option(help="PEM file of authorities to trust as well.")] = None,  # noqa: UP045
    keyring: Annotated[bool, typer.Option("--keyring", help="Keep the token in the system's keyring.")] = False,
    no_token: Annotated[bool, typer.Option("--no-token", help="Keep no token; it comes from elsewhere.")] = False,
) -> None:
    """Add a profile, or replace it. The refresh token is asked for, or is the first line of standard input."""
    if keyring and no_token:
        fail("--keyring and --no-token exclude each other", MISUSE_STATUS)
    place = contour.value if contour is not None else name if url is None and name in CONTOURS else None
    # Looked at before anything is asked for.
    made = _done(lambda: Profile(contour=place, url=url, proxy=proxy, ca_file=ca_file, keyring=keyring))
    token = None if no_token else _ask_token(name)
    if not keyring and token is not None:
        made = Profile(contour=place, url=url, proxy=proxy, ca_file=ca_file, refresh_token=token)
    _done(lambda: add_profile(name, made, keyring_token=token if keyring else None))
    print(f"added {name}: {_described(made)}")


@profile.command("list")
def list_() -> None:
    """Show the profiles: for people on a terminal, else one JSON object a line; no secrets."""
    book = _done(list_profiles)
    for name, each in {**BUILT_IN, **book.profiles}.items():
        if sys.stdout.isatty():
            mark = "*" if name == book.default else " "
            print(f"{mark} {name}: {_described(each)}{'' if name in book.profiles else ', built in'}")
        else:
            told = {
                "name": name,
                "place": each.place,
                "token": _token(each),
                "proxy": _bare_proxy(each),
                "ca_file": each.ca_file,
                "built_in": name not in book.profiles,
                "in_use": name == book.default,
            }
            print(json.dumps(told))


@profile.command("remove")
def remove(name: Name) -> None:
    """Remove a profile and its token."""
    _done(lambda: remove_profile(name))
    print(f"removed {name}")


@profile.command("use")
def use(
    name: Annotated[Optional[str], typer.Argument(help="Of the profile. Default: none.")] = None,  # noqa: UP045
) -> None:
    """Have a profile used where none is named and the environment names none."""
    _done(lambda: use_profile(name))
    print(f"{name} is used where none is named" if name is not None else "no profile is used where none is named")


def _ask_token(name: str) -> str:
    if sys.stdin.isatty():
        text = getpass.getpass(f"refresh token of {name} (not shown): ")
    else:
        text = sys.stdin.readline(TOKEN_CHARACTERS_MAX + 1)
    text = text.strip()
    if not text or not text.isprintable() or len(text) > TOKEN_CHARACTERS_MAX:
        fail("no refresh token was given: write it into standard input, or pass --no-token", MISUSE_STATUS)
    return text


def _described(each: Profile) -> str:
    told = [
        each.place,
        {"file": "with a token", "keyring": "token in the keyring"}.get(_token(each) or "", "no token"),
    ]
    proxy = _bare_proxy(each)
    if proxy is not None:
        told.append(f"through {proxy}" if "://" in proxy else "without a proxy")
    if each.ca_file is not None:
        told.append(f"trusts {each.ca_file}")
    return ", ".join(told)


def _token(each: Profile) -> str | None:
    if each.keyring:
        return "keyring"
    return "file" if each.refresh_token is not None else None


def _bare_proxy(each: Profile) -> str | None:
    """Return the proxy without its credentials."""
    if each.proxy is None or "@" not in each.proxy:
        return each.proxy
    scheme, _, rest = each.proxy.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _done(work: Callable[[], T]) -> T:
    try:
        return work()
    except ValueError as error:
        fail(str(error), MISUSE_STATUS)
    except (ProfileFileError, KeyringTokenError) as error:
        fail(str(error))
