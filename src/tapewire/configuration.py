"""Where a broker is, as whom one comes and how one gets there: arguments, environment, profiles, this machine.

=========  =====================================================================================================
what       from where, the first that has it
=========  =====================================================================================================
the place  ``url`` or ``endpoints``; ``profile``; ``TAPEWIRE_URL`` or ``TAPEWIRE_PROFILE``; the profile in use
           (``tapewire profile use``); the trading system that runs on this machine
token      ``refresh_token``; the profile that the place is from; ``TAPEWIRE_REFRESH_TOKEN``; the system at that
           place that runs on this machine
proxy      ``proxy``; the profile that the place is from; ``TAPEWIRE_PROXY``; ``HTTPS_PROXY``, ``http_proxy`` and
           ``ALL_PROXY``, less ``NO_PROXY`` and this machine
trust      ``tls`` or ``ca_file``; the profile that the place is from; ``TAPEWIRE_CA_FILE``; the system's
=========  =====================================================================================================

A profile counts only where the place is its own: its token is shown to nobody else. An argument that is empty is
an error; a variable that is empty counts as not set, as for most programs.
"""

from __future__ import annotations

import os
import ssl
from typing import NamedTuple

from tapewire.adapters.keyring_tokens import KeyringTokenError, kept_token
from tapewire.adapters.profile_file import ProfileFile, ProfileFileError
from tapewire.adapters.proxies import Proxies
from tapewire.adapters.running_systems import RunningSystem, running_systems
from tapewire.adapters.trust import trusting
from tapewire.client.endpoints import Endpoints
from tapewire.client.errors import ConfigurationError
from tapewire.client.profile import BUILT_IN, Profile, ProfileBook
from tapewire.local_system import LocalSystem, systems_at
from tapewire.protocol.tokens import Secret

__all__ = ["Configuration", "find_admin", "find_configuration", "find_network"]

URL_VARIABLE = "TAPEWIRE_URL"
TOKEN_VARIABLE = "TAPEWIRE_REFRESH_TOKEN"  # noqa: S105  (a name, not a secret)
ADMIN_TOKEN_VARIABLE = "TAPEWIRE_ADMIN_TOKEN"  # noqa: S105
PROFILE_VARIABLE = "TAPEWIRE_PROFILE"
PROXY_VARIABLE = "TAPEWIRE_PROXY"
CA_FILE_VARIABLE = "TAPEWIRE_CA_FILE"


class Configuration(NamedTuple):
    """All that is to be known before a broker is connected."""

    endpoints: Endpoints
    refresh_token: Secret
    proxies: Proxies
    tls: ssl.SSLContext | None
    #: What the refresh token is from; None: from elsewhere.
    local: LocalSystem | None = None


def find_configuration(
    url: str | None = None,
    *,
    refresh_token: str | None = None,
    endpoints: Endpoints | None = None,
    profile: str | None = None,
    proxy: str | None = None,
    tls: ssl.SSLContext | None = None,
    ca_file: str | None = None,
) -> Configuration:
    """Return what :func:`tapewire.connect` would use for these arguments.

    Raises:
        ConfigurationError: It is not clear where to connect to, as whom or how.
    """
    try:
        _refuse_empty(url=url, refresh_token=refresh_token, profile=profile)
        name, chosen, endpoints = _place(url, endpoints, profile)
        token = refresh_token
        if chosen is not None:
            token = token or _token_of(name, chosen)
            proxy = proxy or chosen.proxy
            ca_file = ca_file or (chosen.ca_file if tls is None else None)
        token = token or os.environ.get(TOKEN_VARIABLE) or None
    except (ValueError, ProfileFileError, KeyringTokenError) as error:
        raise ConfigurationError(str(error)) from None
    proxies, trusted = find_network(proxy=proxy, tls=tls, ca_file=ca_file)
    is_local = token is None
    if endpoints is None or token is None:
        endpoints, token = _local(endpoints, token)
    local = LocalSystem(endpoints) if is_local else None
    return Configuration(endpoints, Secret(token), proxies, trusted, local)


def find_network(
    *, proxy: str | None = None, tls: ssl.SSLContext | None = None, ca_file: str | None = None
) -> tuple[Proxies, ssl.SSLContext | None]:
    """Return through which proxies to go and whom to trust: arguments, else the environment.

    Raises:
        ConfigurationError: The proxy is no address, or the authorities cannot be used.
    """
    proxy = proxy or os.environ.get(PROXY_VARIABLE) or None
    if tls is None:
        ca_file = ca_file or os.environ.get(CA_FILE_VARIABLE) or None
    try:
        return Proxies.chosen(proxy, os.environ), trusting(tls, ca_file)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def find_admin(url: str | None = None, *, admin_token: str | None = None) -> tuple[str, Secret]:
    """Return the address of the system that :func:`tapewire.connect.admin` would ask, and its admin token.

    Raises:
        ConfigurationError: It is not clear where the system is, or as whom to ask.
    """
    url = url or os.environ.get(URL_VARIABLE) or None
    token = admin_token or os.environ.get(ADMIN_TOKEN_VARIABLE) or None
    try:
        endpoints = Endpoints.from_base(url) if url is not None else None
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    if endpoints is not None and token is not None:
        return endpoints.http, Secret(token)
    system = _running_system(endpoints, f"admin token for {{}}: pass --admin-token or set {ADMIN_TOKEN_VARIABLE}")
    return endpoints.http if endpoints is not None else system.url, Secret(token or system.admin_token)


def _place(
    url: str | None, endpoints: Endpoints | None, profile: str | None
) -> tuple[str, Profile | None, Endpoints | None]:
    """Return the addresses, and the profile that they are from with its name; None: nothing says where."""
    if url is not None and endpoints is not None:
        raise ConfigurationError("pass url or endpoints, not both")
    if profile is not None and (url is not None or endpoints is not None):
        raise ConfigurationError("pass profile or an address, not both")
    if profile is None and endpoints is None and url is None:
        url, profile = os.environ.get(URL_VARIABLE) or None, os.environ.get(PROFILE_VARIABLE) or None
        if url is not None and profile is not None:
            raise ConfigurationError(f"{URL_VARIABLE} and {PROFILE_VARIABLE} say two places: unset one")
    if endpoints is not None:
        return "", None, endpoints
    if url:
        return "", None, Endpoints.from_base(url)
    file = ProfileFile.of_user(os.environ, ProfileBook)
    book = file.read()
    profile = profile or book.default
    if profile is None:
        return "", None, None
    found = book.find(profile)
    if found is None:
        known = ", ".join(sorted({*book.profiles, *BUILT_IN}))
        raise ConfigurationError(f"there is no profile {profile[:80]!r} in {file.path}: {known}")
    return profile, found, found.endpoints


def _refuse_empty(**given: str | None) -> None:
    """Refuse arguments that are there and say nothing: whoever gave them meant something else than no argument."""
    for name, value in given.items():
        if value is not None and not value.strip():
            raise ConfigurationError(f"{name} is empty: pass none at all to have it looked up")


def _token_of(name: str, profile: Profile) -> str | None:
    if not profile.keyring:
        return profile.refresh_token
    token = kept_token(name)
    if token is None:
        raise ConfigurationError(f"the keyring has no refresh token for the profile {name}: add it again")
    return token


def _local(endpoints: Endpoints | None, refresh_token: str | None) -> tuple[Endpoints, str]:
    """Complete what was given with what the systems on this machine say."""
    how = f"refresh token for {{}}: pass refresh_token or set {TOKEN_VARIABLE}"
    system = _running_system(endpoints, how)
    refresh_token = refresh_token or system.refresh_token
    if not refresh_token:
        # Its demo user is not let in.
        raise ConfigurationError(f"no {how.format(system.url)}")
    return Endpoints.from_base(system.url), refresh_token


def _running_system(endpoints: Endpoints | None, what_is_missing: str) -> RunningSystem:
    """Return the system of this machine that is meant; ``what_is_missing`` has a place for its address."""
    systems = running_systems()
    if endpoints is not None:
        systems_there = systems_at(endpoints, systems)
        if not systems_there:
            known = ", ".join(each.url for each in systems)
            hint = f" ({known} runs on this machine)" if known else ""
            raise ConfigurationError(f"no {what_is_missing.format(endpoints.http)}{hint}")
        systems = systems_there
    if not systems:
        raise ConfigurationError(
            f"no broker: pass url, set {URL_VARIABLE}, or start a local system with `tapewire up`"
        )
    if len(systems) > 1:
        names = ", ".join(each.url for each in systems)
        raise ConfigurationError(f"several systems run on this machine ({names}): set {URL_VARIABLE}")
    return systems[0]
