"""Evidence: a trace exactly as its backend sent it, with where it came from, how whole it was and what Clew made of it.

An item never changes. Its bytes are held to their SHA-256, and its facts to the digest that the chain of custody recorded
when it was kept, so that neither can be altered unseen.
"""

from __future__ import annotations

import enum
import hashlib

import msgspec

import app
from app.analysis.secrets import redact
from app.analysis.verdict import Verdict
from app.cases.custody import Facts, digest_of
from app.cases.model import evidence_name, storable
from app.errors import EvidenceChanged
from app.sources.values import TraceBytes
from app.times import UnixNanos
from app.traces.model import DefectKind, Trace


class Kind(enum.StrEnum):
    TRACE = "trace"


class Completeness(enum.StrEnum):
    """How much of the trace the bytes hold, as far as anybody said.

    whole:     the backend called it complete, and no loss is counted in it.
    partial:   the backend itself said that spans are missing.
    truncated: spans, attributes or events were dropped before they reached the backend.
    """

    WHOLE = "whole"
    PARTIAL = "partial"
    TRUNCATED = "truncated"


class Capture(msgspec.Struct, frozen=True):
    """A trace just fetched, read and judged: what `preserve` makes an item of.

    query:   how it was found, TraceQL or words. window: the time range of that query.
    backend: product and version that answered, such as "Tempo 3.0.3"; "" where it does not say.
    """

    received: TraceBytes
    trace: Trace
    verdict: Verdict
    query: str = ""
    window: tuple[UnixNanos, UnixNanos] | None = None
    backend: str = ""


class Item(msgspec.Struct, frozen=True):
    """The unchanging facts of one item. `verdict` is the judgement of that moment as JSON, frozen with the bytes."""

    number: int
    kind: Kind
    trace_id: str
    title: str
    sha256: str
    size: int
    media_type: str
    source_url: str
    tenant: str
    query: str
    range_start_ns: int | None
    range_end_ns: int | None
    backend: str
    completeness: Completeness
    completeness_note: str
    received_ns: int
    captured_ns: int
    captured_by: str
    clew_version: str
    verdict: str

    @property
    def name(self) -> str:
        return evidence_name(self.number)

    @property
    def digest(self) -> str:
        return digest_of(self.facts)

    @property
    def facts(self) -> Facts:
        """All of it as plain values. Nanoseconds as text: they do not fit the numbers of every JSON reader."""
        plain = msgspec.structs.asdict(self)
        times = {key: None if plain[key] is None else str(plain[key]) for key in plain if key.endswith("_ns")}
        return {**plain, "kind": self.kind.value, "completeness": self.completeness.value, **times}


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def item(capture: Capture, *, number: int, by: str, at_ns: int) -> Item:
    """The item that keeps this capture."""
    received = capture.received
    completeness, note = _completeness(capture)
    start, end = capture.window or (None, None)
    return Item(
        number=number, kind=Kind.TRACE, trace_id=capture.trace.trace_id, title=title(capture.trace),
        sha256=sha256(received.body), size=len(received.body), media_type=received.media_type[:100],
        source_url=storable(received.url)[:2000], tenant=received.tenant[:200], query=storable(capture.query)[:4000],
        range_start_ns=start, range_end_ns=end, backend=storable(capture.backend)[:100],
        completeness=completeness, completeness_note=note, received_ns=received.received_ns, captured_ns=at_ns,
        captured_by=by, clew_version=app.__version__, verdict=storable(msgspec.json.encode(capture.verdict).decode()),
    )  # fmt: skip


def title(trace: Trace) -> str:
    """What the request was, in the words of its entry span: `edge-gateway: POST /api/orders`."""
    entry = trace.roots[0]
    return redact(storable(f"{entry.service[:80]}: {entry.span.name[:400]}"))[:200]


def check(kept: Item, body: bytes | None) -> None:
    """Pass when the bytes are those that were received. Errors: EvidenceChanged says how they differ."""
    if body is None:
        raise EvidenceChanged(f"The bytes of {kept.name} are gone.")
    if (found := sha256(body)) != kept.sha256:
        raise EvidenceChanged(
            f"{kept.name} is not what was received: its SHA-256 began {kept.sha256[:12]}, that of the stored bytes "
            f"begins {found[:12]}."
        )


def replaces(new: Completeness, old: Completeness) -> bool:
    """Whether a later capture of the same trace should speak for it on the timeline: never a lesser one for a whole one."""
    return new is Completeness.WHOLE or old is not Completeness.WHOLE


def _completeness(capture: Capture) -> tuple[Completeness, str]:
    if capture.received.partial or capture.trace.partial:
        note = capture.received.note or capture.trace.partial_note or "the backend said that spans are missing"
        return Completeness.PARTIAL, storable(note)[:500]
    for defect in capture.trace.defects:
        if defect.kind is DefectKind.TRUNCATED_TRACE:
            return Completeness.TRUNCATED, storable(defect.detail)[:500]
    return Completeness.WHOLE, ""
