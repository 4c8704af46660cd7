"""Which proxy stands between this machine and a host: one that was named, else what the environment says."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import msgspec

__all__ = ["DIRECT", "Proxies", "Proxy"]

#: Said in the place of a proxy: none, whatever the environment says.
DIRECT = "direct"
_EXAMPLE = "http://[user:password@]host:port or socks5://[user:password@]host:port"
_PORTS = {"http": 3128, "socks5": 1080}
#: Variables that other programs read too, by the scheme of an address; the small spelling wins.
_GENERAL = {
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    # HTTP_PROXY in capitals is left alone, as others leave it: to a CGI program it is a header of its caller.
    "http": ("http_proxy", "all_proxy", "ALL_PROXY"),
}
_AS_HTTP = {"wss": "https", "https": "https", "ws": "http", "http": "http"}


class Proxy(msgspec.Struct, frozen=True):
    """One proxy. Its printed form has no credentials."""

    #: ``http`` or ``socks5``.
    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str = ""

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Read the address of a proxy. ``socks5h`` is the same as ``socks5``: the proxy looks names up.

        Raises:
            ValueError: It is none; the text does not repeat it, for there may be a password in it.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ValueError(f"the address of the proxy is not like {_EXAMPLE}") from None
        scheme = "socks5" if parts.scheme == "socks5h" else parts.scheme
        if (
            scheme not in _PORTS
            or not parts.hostname
            or parts.path not in ("", "/")
            or parts.query
            or parts.fragment
        ):
            raise ValueError(f"the address of the proxy is not like {_EXAMPLE}")
        user = None if parts.username is None else unquote(parts.username)
        if user is not None and ":" in user:
            raise ValueError("the user of a proxy has no colon in the name")
        return cls(scheme, parts.hostname, port or _PORTS[scheme], user, unquote(parts.password or ""))

    @property
    def address(self) -> str:
        """``scheme://host:port``, without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address with its credentials: a secret."""
        if self.user is None:
            return self.address
        credentials = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return self.address.replace("://", f"://{credentials}@", 1)

    @property
    def authorization(self) -> dict[str, str]:
        """The header that an HTTP proxy wants to see, if any: a secret."""
        if self.user is None:
            return {}
        credentials = b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {credentials}"}

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"Proxy({self.address!r}{', ***' if self.user is not None else ''})"

    def __rich_repr__(self) -> list[Any]:
        # What pretty printers ask for instead.
        return [self.address]


class Proxies:
    """Chooses the proxy of each address.

    Args:
        named: For every host; None: look into the environment.
        environment: ``HTTPS_PROXY``, ``http_proxy`` and ``ALL_PROXY``, of which ``NO_PROXY`` exempts hosts. This
            machine is exempt by itself: a local system is not behind a proxy.

    Raises:
        ValueError: What would be needed is no address of a proxy.
    """

    def __init__(self, named: Proxy | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._named = named
        environment = environment or {}
        self._general = {
            scheme: Proxy.parse(found)
            for scheme, names in _GENERAL.items()
            if (found := next((environment[name] for name in names if environment.get(name)), None))
        }
        exempt = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        self._exempt = [host.strip().lower().removeprefix("*.").lstrip(".") for host in exempt.split(",")]

    @classmethod
    def chosen(cls, text: str | None, environment: Mapping[str, str]) -> Proxies:
        """Return those that an address, ``direct`` or, for None, the environment stands for.

        Raises:
            ValueError: It is no address of a proxy.
        """
        if text is None:
            return cls(None, environment)
        return cls(None if text == DIRECT else Proxy.parse(text))

    def of(self, url: str) -> Proxy | None:
        """Return the proxy through which an address is reached, None: straight."""
        if self._named is not None or not self._general:
            return self._named
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if _is_this_machine(host) or self._is_exempt(host, parts.port):
            return None
        return self._general.get(_AS_HTTP.get(parts.scheme, ""))

    def _is_exempt(self, host: str, port: int | None) -> bool:
        names = (host, f"{host}:{port}")
        return any(
            each == "*" or (each and any(name == each or name.endswith(f".{each}") for name in names))
            for each in self._exempt
        )


def _is_this_machine(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
