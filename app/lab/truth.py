"""Ground truth: what was done to the shop, and what the shop is configured to answer. One JSON object per line.

Three kinds of lines, told apart by `kind`: `begin` and `end` of an attack, and `request`. What Clew concludes about a
trace can be held against the `request` line with the same trace id.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from app.analysis.verdict import FindingKind, Layer, Outcome, Phase
from app.times import UnixNanos

ORDINARY = "ordinary"


class Expected(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the shop's configuration makes of a request.

    status:   the HTTP status the client gets.
    reason:   the `auth.failure_reason` or the policy's words of the layer that refuses; None where it has none.
    phase:    None where authentication and authorization cannot be told apart by the configuration.
    findings: those that must be among Clew's; others may be there too.
    """

    status: int
    outcome: Outcome
    layer: Layer | None = None
    phase: Phase | None = None
    service: str | None = None
    reason: str | None = None
    findings: tuple[FindingKind, ...] = ()


class Entities(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who took part: addresses and sessions of the attacker, accounts it went for (login, id and hash), tokens it held."""

    addresses: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    user_ids: tuple[str, ...] = ()
    user_hashes: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    compromised: tuple[str, ...] = ()


class Begin(msgspec.Struct, frozen=True, tag="begin", tag_field="kind"):
    run: str
    attack: str
    seed: int
    start_ns: UnixNanos
    about: str
    alerts: tuple[str, ...]


class Request(msgspec.Struct, frozen=True, tag="request", tag_field="kind", omit_defaults=True):
    """One request.

    trace_id:          from the answer's `traceresponse` header; "" where no answer came.
    detached_trace_id: the trace of a service further in that lost the context.
    as_expected:       the client got the expected status. Where it did not, the expectation is void.
    """

    run: str
    attack: str
    at_ns: UnixNanos
    trace_id: str
    did: str
    method: str
    path: str
    address: str
    login: str
    status: int
    as_expected: bool
    expected: Expected
    detached_trace_id: str = ""
    detached_expected: Expected | None = None


class End(msgspec.Struct, frozen=True, tag="end", tag_field="kind"):
    run: str
    attack: str
    end_ns: UnixNanos
    requests: int
    unexpected: int
    entities: Entities


Line = Begin | Request | End


class Log:
    """Appends lines to a file as they happen, so that an interrupted attack leaves what it did."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)

    def write(self, lines: Iterable[Line]) -> None:
        encoded = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        with self._guard, self._path.open("ab") as file:
            file.write(encoded)


class Run(msgspec.Struct, frozen=True):
    """One attack as read back. `end` is None where it was interrupted."""

    begin: Begin
    requests: tuple[Request, ...]
    end: End | None


def read(path: Path) -> tuple[list[Run], list[Request]]:
    """The attacks of a file in order, and the requests of ordinary visitors."""
    begins: dict[str, Begin] = {}
    ends: dict[str, End] = {}
    requests: dict[str, list[Request]] = {}
    decoder = msgspec.json.Decoder(Line)
    with path.open("rb") as file:
        for text in file:
            line = decoder.decode(text)
            if isinstance(line, Begin):
                begins[line.run] = line
            elif isinstance(line, End):
                ends[line.run] = line
            else:
                requests.setdefault(line.run, []).append(line)
    runs = [Run(begin, tuple(requests.get(name, ())), ends.get(name)) for name, begin in begins.items()]
    return runs, [request for name, lines in requests.items() if name not in begins for request in lines]
