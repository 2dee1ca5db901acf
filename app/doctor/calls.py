"""Who calls whom in the sample, and on how many of the calls the other end was seen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import msgspec

from app.analysis.gaps import is_internal_address
from app.analysis.joins import same_service
from app.doctor.observe import Call, Observed

_HOUSE = (".svc", ".local", ".internal", ".lan", ".intra", ".corp", ".home.arpa", ".consul", ".private")


class Link(msgspec.Struct, frozen=True):
    """The calls of one service to one peer.

    callee: the service that the peer is, "" where no service of the house is known by that name or address
    """

    caller: str
    peer: str
    callee: str
    answered: int
    open: int
    asked: bool
    evidence: tuple[str, ...]

    @property
    def calls(self) -> int:
        return self.answered + self.open


def links(traces: Sequence[Observed], services: Collection[str]) -> tuple[Link, ...]:
    """All calls between services, by caller and peer. services: every name that was seen to send spans."""
    addresses = _addresses(traces)
    answered: Counter[tuple[str, str, str]] = Counter()
    unanswered: Counter[tuple[str, str, str]] = Counter()
    asked: set[tuple[str, str, str]] = set()
    evidence: dict[tuple[str, str, str], dict[str, None]] = {}
    for trace in traces:
        if trace.fresh:
            continue
        for call in trace.calls:
            callee = call.callee or _named(call, services, addresses)
            key = (call.caller, callee or call.peer, callee)
            (answered if call.callee else unanswered)[key] += 1
            if call.asked:
                asked.add(key)
            if not call.callee:
                evidence.setdefault(key, {})[trace.trace_id] = None
    return tuple(
        Link(key[0], key[1], key[2], answered[key], unanswered[key], key in asked, tuple(evidence.get(key, {})))
        for key in sorted({*answered, *unanswered})
    )


def is_house(peer: str) -> bool:
    """Whether a peer that sends no spans is likely one of the house's own, which could."""
    host = peer.lower().partition(":")[0]
    return bool(host) and (is_internal_address(host) or host.endswith(_HOUSE) or ".svc." in host)


def _addresses(traces: Iterable[Observed]) -> dict[str, str]:
    """Address to service, where all spans agree on it."""
    found: dict[str, set[str]] = {}
    for trace in traces:
        for address, service in trace.servers:
            found.setdefault(address, set()).add(service)
        for call in trace.calls:
            if call.callee and call.address:
                found.setdefault(call.address, set()).add(call.callee)
    return {address: next(iter(names)) for address, names in found.items() if len(names) == 1}


def _named(call: Call, services: Collection[str], addresses: dict[str, str]) -> str:
    by_name = next((service for service in sorted(services) if same_service(call.peer, service)), "")
    return by_name or addresses.get(call.address, "")
