"""Whose word counts about where a request came from.

`X-Forwarded-For` is written by whoever likes to. Read from the right, it is believed only as long as the hop that added
the entry is a trusted proxy; the first address that is not one is the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from app.errors import InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def networks(entries: Sequence[str]) -> tuple[Network, ...]:
    """Settings' addresses and networks as values.

    Errors: InvalidInput names the entry that is neither.
    """
    found: list[Network] = []
    for entry in entries:
        try:
            found.append(ip_network(entry, strict=False))
        except ValueError:
            raise InvalidInput(f"trusted_proxies: {entry[:60]!r} is not an address or a network.") from None
    return tuple(found)


def client_address(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: the peer's own, unless a trusted proxy speaks for it.

    forwarded_for: the values of all X-Forwarded-For headers in the order received.
    """
    current = peer
    hops = [hop.strip() for value in forwarded_for for hop in value.split(",")]
    for hop in reversed(hops):
        if not is_trusted(current, trusted):
            break
        address = _parse(hop)
        if address is None:
            break
        current = str(address)
    return current


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed.version == net.version and parsed in net for net in trusted)


def _parse(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:4711
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:4711
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))  # without a zone id
    return address
