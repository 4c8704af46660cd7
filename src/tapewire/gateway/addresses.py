"""Where connections come from, and how many from each place."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

__all__ = ["AddressQuota", "address_of"]

#: One household or machine has at least a network of this size, so counting single addresses would bound nothing.
_IPV6_PREFIX = 64


def address_of(host: str) -> str:
    """Return the address by which a host is counted: of IPv6 the network of 64 bits.

    A text that is no IP address stands for itself.
    """
    try:
        address: IPv4Address | IPv6Address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(IPv6Network((int(address), _IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(address)


class AddressQuota:
    """Counts connections by address, from the handshake on; None as a bound: any number."""

    def __init__(self, connections_max: int | None) -> None:
        self.connections_max = connections_max
        self._by_address: Counter[str] = Counter()

    def claim(self, address: str) -> bool:
        """Count one more connection; False: there are too many and it was not counted."""
        if self.connections_max is not None and self._by_address[address] >= self.connections_max:
            return False
        self._by_address[address] += 1
        return True

    def release(self, address: str) -> None:
        """Count one connection less."""
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]
