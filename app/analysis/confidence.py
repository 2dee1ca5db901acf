"""How sure a verdict is, and what made it less so.

high:   an explicit decision by the named layer on an unbroken path to the entry's answer.
medium: a status and nothing more, a driver's words without a code, or an explicit decision with a gap on the path.
low:    words only, conflicting evidence, or several gaps.
"""

from __future__ import annotations

import msgspec

from app.analysis import wording
from app.analysis.accounts import State, Tolerated, Way
from app.analysis.answers import Answer
from app.analysis.judge import Judgement
from app.analysis.naming import Named
from app.analysis.verdict import Confidence, Outcome
from app.traces.model import DefectKind, Node, SpanKind

_ORDER = (Confidence.LOW, Confidence.MEDIUM, Confidence.HIGH)


class Sureness(msgspec.Struct, frozen=True):
    """The confidence, and a sentence for each thing that lowered it."""

    confidence: Confidence
    lowered_by: tuple[str, ...]
    gaps: int


def weigh(judgement: Judgement, named: Named | None, conflicts: tuple[str, ...]) -> Sureness:
    """Weigh the evidence of a judgement."""
    gaps = _gaps(judgement)
    lowered = list(gaps)
    outcome = judgement.outcome
    if outcome is Outcome.NO_AUTH_EVIDENCE:
        whole = not gaps and not _damaged(judgement)
        return Sureness(Confidence.HIGH if whole else Confidence.LOW, tuple(lowered), len(gaps))
    if outcome is Outcome.ALLOWED:
        explicit = any(s.decision == "allow" and s.evidence == "explicit" for s in judgement.reading.signals.values())
        clear = explicit and not gaps and not judgement.items(Tolerated.FAIL_OPEN)
        return Sureness(Confidence.HIGH if clear else Confidence.MEDIUM, tuple(lowered), len(gaps))
    if outcome is Outcome.INCONCLUSIVE:
        return Sureness(Confidence.LOW, tuple(lowered), len(gaps))
    assert named is not None
    start = _base(judgement, named, lowered)
    if gaps:
        start = min(start, Confidence.MEDIUM, key=_ORDER.index)
    if len(gaps) > 2:
        start = Confidence.LOW
    if conflicts:
        lowered.extend(conflicts)
        start = Confidence.LOW
    return Sureness(start, tuple(lowered), len(gaps))


def _base(judgement: Judgement, named: Named, lowered: list[str]) -> Confidence:
    origin = judgement.origin
    assert origin is not None
    if judgement.outcome is Outcome.ERROR:
        return _of_error(judgement, named, lowered)
    if any(account.way is Way.ENGINE for account in judgement.chain) or origin.state is State.MUTE:
        lowered.append("The engine's answer is not recorded; that it refused is read from what came next.")
        return Confidence.MEDIUM
    if judgement.entry is origin.node or judgement.reading.answer(judgement.entry) is not Answer.NONE:
        known = True
    else:
        known = judgement.entry.span.kind is SpanKind.CONSUMER
    if not known:
        lowered.append("What the client was answered is not recorded.")
    if named.evidence in ("explicit", "code"):
        return Confidence.HIGH if known else Confidence.MEDIUM
    if named.evidence == "structure":
        lowered.append("That this span refused is read from its place: it was the last before the refusal.")
        return Confidence.MEDIUM
    if named.evidence == "words":
        if origin.spoke is not None and origin.spoke.is_store:
            lowered.append("The driver's words say so, without a code.")
            return Confidence.MEDIUM
        lowered.append("Only words say so.")
        return Confidence.LOW
    lowered.append("Only a status says so.")
    return Confidence.MEDIUM


def _of_error(judgement: Judgement, named: Named, lowered: list[str]) -> Confidence:
    origin = judgement.origin
    assert origin is not None
    if named.evidence == "words":
        lowered.append("A failure of the connection; an authorization rule of the mesh may be behind it.")
        return Confidence.LOW
    if any(account.way is Way.LAST_FAILURE for account in judgement.chain):
        lowered.append("The call that failed was the last before the refusal; that it was a check is a guess.")
        return Confidence.MEDIUM
    span = origin.node.span
    if span.kind in (SpanKind.CLIENT, SpanKind.PRODUCER) or origin.spoke is not None:
        return Confidence.HIGH
    if span.status_message or any(event.name == "exception" for event in span.events):
        return Confidence.HIGH
    lowered.append("Only a status says that it broke; what broke inside it is not shown.")
    return Confidence.MEDIUM


def _gaps(judgement: Judgement) -> list[str]:
    """What is missing between the entry and the deciding span."""
    reading = judgement.reading
    found = []
    entry = judgement.entry
    top = [entry, *reading.ancestors(entry)][-1]
    if top.lost_parent and top.index not in reading.joined:
        found.append(f"The span above {wording.span(top)} of {top.service} is missing.")
    node = judgement.node
    if node is not None:
        here: Node | None = node
        while here is not None and here is not entry:
            if here.index in reading.joined:
                found.append(f"Where {wording.span(here)} of {here.service} belongs is a guess by service, path and time.")
            here = reading.parent(here)
        found.extend(_lost_below(judgement))
        cut = {i for d in reading.trace.defects if d.kind is DefectKind.PARENT_CYCLE for i in d.span_ids}
        if cut and any(a.node.span.span_id in cut for a in judgement.chain):
            found.append("The spans of the path name each other as parents.")
    elif reading.joined:
        found.append("Where some spans belong is a guess.")
    if judgement.outcome in (Outcome.ALLOWED, Outcome.ERROR) and any(
        root.lost_parent and root.index not in reading.joined and root is not top for root in reading.trace.roots
    ):
        found.append("Spans whose place is not known may have refused.")
    return found


def _lost_below(judgement: Judgement) -> list[str]:
    """What the deciding span's hop, or the span itself, has lost: it may have been what decided or broke."""
    reading, origin = judgement.reading, judgement.origin
    if origin is None or not reading.joined:
        return []
    node = origin.node
    hop = reading.hop_of(node)
    for index in reading.joined:
        orphan = reading.trace.nodes[index]
        if not orphan.lost_parent or orphan is node or reading.hop_of(reading.joined[index]) is not hop:
            continue
        during = node.start_ns <= orphan.start_ns <= node.end_ns and orphan.service == node.service
        if during or judgement.outcome is Outcome.ERROR:
            return [f"What {wording.span(orphan)} of {orphan.service} hung from is missing; it may have been what decided."]
    return []


_DAMAGE = frozenset({DefectKind.ORPHAN_SPANS, DefectKind.PARENT_CYCLE, DefectKind.TRUNCATED_TRACE, DefectKind.MULTIPLE_ROOTS,
                     DefectKind.INVALID_IDS})  # fmt: skip


def _damaged(judgement: Judgement) -> bool:
    """Whether spans are known to be missing or out of place."""
    return judgement.reading.trace.partial or any(d.kind in _DAMAGE for d in judgement.reading.trace.defects)
