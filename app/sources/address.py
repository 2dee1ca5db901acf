"""Which network addresses a source may have.

A source's URL is the operator's own, so private networks are fine. What no telemetry source is behind is refused even
when a name resolves to it: cloud metadata services, link-local and multicast addresses, and this machine under any name
but its plain one. A changed DNS record then cannot turn Clew into a way into them.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TypeAlias

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"

# Metadata services outside the link-local range: Alibaba, Azure's platform address, Oracle, AWS over IPv6.
_METADATA = frozenset(ipaddress.ip_address(a) for a in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def refusal(host: str, address: str) -> str:
    """Why Clew does not connect to `address` for a URL that names `host`; "" where it does.

    host:    as it stands in the URL, a name or a literal address, without brackets.
    address: what it resolved to, without a zone.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or ip.sixtofour or ip.teredo or ip in _NAT64):
        return f"{ip} hides an IPv4 address in an IPv6 one"
    if ip.is_unspecified or (ip.version == 4 and ip in ipaddress.ip_network("0.0.0.0/8")):
        return f"{ip} is not an address of a machine"
    if ip.is_link_local or ip in _METADATA:
        return f"{ip} is link-local or a cloud's metadata service"
    if ip.is_multicast or (ip.is_reserved and not ip.is_loopback):
        return f"{ip} is a multicast or reserved address"
    if ip.is_loopback and not _names_this_machine(host):
        return f"{host} leads to {ip}, this machine; its URL has to say localhost or {ip} itself"
    if _written_oddly(host):
        return f"{host} is an unusual way to write {ip}"
    return ""


def _names_this_machine(host: str) -> bool:
    plain = host.rstrip(".").lower()
    if plain == "localhost" or plain.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(plain).is_loopback
    except ValueError:
        return False


def _written_oddly(host: str) -> bool:
    """Decimal, octal, hexadecimal or shortened IPv4: only libc reads them, and only to slip past a filter."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return False
    try:
        socket.inet_aton(host)
    except (OSError, UnicodeError):
        return False
    return True
