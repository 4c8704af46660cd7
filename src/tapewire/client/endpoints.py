"""Where a broker is: four addresses, from one base for a local system or a known contour."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

__all__ = ["PRODUCTION", "TEST", "Endpoints"]


class Endpoints(msgspec.Struct, frozen=True):
    """The addresses of one contour. ``oauth`` is the base to which ``/refresh`` is appended."""

    ws: str
    cws: str
    http: str
    oauth: str

    @classmethod
    def from_base(cls, base: str) -> Endpoints:
        """Return the addresses of a system that serves everything on one port.

        Raises:
            ValueError: ``base`` is not ``http://host[:port]`` or ``https://host[:port]``, or it is an address
                of the broker itself, whose token service lives elsewhere.
        """
        parts = urlsplit(base)
        # First, so that the texts below cannot show a secret.
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError("the address of a broker has no user, query or fragment")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{base!r} is not like http://host:port")
        try:
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"{base!r} has no good port") from error
        for name, contour in (("production", PRODUCTION), ("test", TEST)):
            if parts.hostname.rstrip(".") == urlsplit(contour.http).hostname:
                raise ValueError(
                    f"{parts.hostname} does not serve everything, tokens come from {contour.oauth}:"
                    f" use endpoints=tapewire.{name.upper()}, --contour {name} on the command line"
                )
        root = f"{parts.netloc}{parts.path.rstrip('/')}"
        websocket = "wss" if parts.scheme == "https" else "ws"
        http = f"{parts.scheme}://{root}"
        return cls(f"{websocket}://{root}/ws", f"{websocket}://{root}/cws", http, http)


PRODUCTION = Endpoints(
    "wss://api.alor.ru/ws", "wss://api.alor.ru/cws", "https://api.alor.ru", "https://oauth.alor.ru"
)
TEST = Endpoints(
    "wss://apidev.alor.ru/ws", "wss://apidev.alor.ru/cws", "https://apidev.alor.ru", "https://oauthdev.alor.ru"
)
