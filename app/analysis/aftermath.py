"""What the request had changed when it was refused, and what it changed afterwards.

A denial's time is the end of its deciding span, on the skew-corrected clock. The forwarded request itself is no side effect,
nor is a retry of the refused call.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, islice

import msgspec

from app.analysis import effects, peers, structure
from app.analysis.accounts import Item, Tolerated
from app.analysis.judge import Judgement
from app.analysis.verdict import EffectKind, EffectTime, Outcome, SideEffect
from app.traces.model import Node, SpanKind

_MOST = 500
_CLIMBED = 64  # spans above a write that are asked for a ROLLBACK beside them


class Aftermath(msgspec.Struct, frozen=True):
    """The side effects in order, and which of them are findings.

    after, before: spans whose change came after or before a denial in the branch it guarded.
    unlisted:      side effects beyond the five hundred listed.
    """

    effects: tuple[SideEffect, ...]
    after: tuple[Node, ...]
    before: tuple[Node, ...]
    unlisted: int


def look(judgement: Judgement) -> Aftermath:
    """The side effects of the whole trace, set against the judgement's denial."""
    reading = judgement.reading
    origin, node = judgement.origin, judgement.node
    refused = judgement.refused and origin is not None and node is not None
    path = set()
    refused_calls = set()
    if origin is not None:
        path = {origin.node.index} | {n.index for n in reading.ancestors(origin.node)}
        refused_calls = {structure.call_target(a.node) for a in judgement.chain if a.kind is SpanKind.CLIENT}
    # Where the request went on by design, only what its own branch did belongs to the denial.
    guarded = _guarded(judgement) if refused else None
    denied_at = _denied_at(judgement, node, origin.node) if refused and node is not None and origin is not None else 0
    listed: list[SideEffect] = []
    after: list[Node] = []
    before: list[Node] = []
    taken_back = _TakenBack()
    changes: list[tuple[Node, effects.Change]] = []
    for found in reading.outgoing:
        if found.index in path:
            continue
        change = effects.change(found.span)
        if change is None:
            if refused and effects.is_rollback(found.span):
                taken_back.add(found, 0, found.start_ns)
            elif refused and found.span.events and effects.was_rolled_back(found.span):
                taken_back.add(found, found.start_ns, found.end_ns)
            continue
        if change.kind is EffectKind.HTTP_WRITE and _is_forwarding(judgement, found, refused_calls):
            continue
        changes.append((found, change))
    undoing = _Undoing(changes)
    for found, change in changes:
        when = EffectTime.NO_DENIAL
        if refused:
            in_branch = guarded is None or found.index in guarded
            when = _when(found, denied_at) if in_branch else EffectTime.NO_DENIAL
            if change.kind is not EffectKind.AUDIT and not change.bookkeeping and in_branch:
                if when is EffectTime.AFTER_DENIAL:
                    if not _only_records(change) and not undoing.takes_back(found, change):
                        after.append(found)
                elif not taken_back.holds(found) and not undoing.is_taken_back(found, change, denied_at):
                    before.append(found)
        what = change.kind
        if what is not EffectKind.AUDIT and when is EffectTime.AFTER_DENIAL and _only_records(change):
            what = EffectKind.AUDIT
        listed.append(SideEffect(found.service, found.span.span_id, what, change.target, when, found.start_ns))
    listed.sort(key=lambda e: (e.start_ns, e.span_id))
    if len(listed) > _MOST:
        # Those nearest to the denial tell most.
        kept = sorted(sorted(listed, key=lambda e: abs(e.start_ns - denied_at))[:_MOST], key=lambda e: (e.start_ns, e.span_id))
        return Aftermath(tuple(kept), tuple(after), tuple(before), len(listed) - _MOST)
    return Aftermath(tuple(listed), tuple(after), tuple(before), 0)


def _denied_at(judgement: Judgement, node: Node, origin: Node) -> int:
    """The end of the deciding span; not later than the caller had its answer, for a server may go on after giving it."""
    moment = max(node.end_ns, origin.end_ns)
    for above in judgement.reading.ancestors(node):
        if above.span.kind is SpanKind.CLIENT:
            return min(moment, above.end_ns) if above.end_ns > node.start_ns else moment
    return moment


def _when(node: Node, denied_at: int) -> EffectTime:
    return EffectTime.AFTER_DENIAL if node.start_ns >= denied_at else EffectTime.BEFORE_DENIAL


def _only_records(change: effects.Change) -> bool:
    """An outbox row written after a refusal carries the news of it."""
    return effects.words().outbox.search(change.target) is not None


def _is_forwarding(judgement: Judgement, node: Node, refused_calls: set[tuple[str, str, str]]) -> bool:
    """Whether an outgoing call is the request itself on its way, a retry of what was refused, or seen from inside anyway."""
    if structure.call_target(node) in refused_calls:
        return True
    reading = judgement.reading
    servers = [k for k in reading.kids(node) if k.span.kind == SpanKind.SERVER]
    if not servers:
        return False
    caller = reading.hop_of(node)
    if caller is judgement.entry and judgement.roles.of(caller).role == "gateway":
        return True
    if peers.of_target("", servers[0].span.name) is not None:
        return True
    return any(
        effects.change(n.span) is not None or (n.span.kind == SpanKind.SERVER and n is not servers[0])
        for n in reading.subtree(servers[0])
    )


def _guarded(judgement: Judgement) -> set[int] | None:
    """The spans in the branch that the denial guarded; None where that is the whole request."""
    if judgement.outcome is Outcome.DENIED:
        return None
    reading = judgement.reading
    item: Item | None = judgement.item
    if judgement.consumer is not None:
        return {n.index for n in reading.subtree(judgement.consumer.node)}
    if item is None:
        return None
    if item.kind is Tolerated.BYPASSED:
        scope = item.within if item.within is not None else item.by.node
        return {n.index for n in reading.subtree(scope)}
    # A branch refused by design: what lies in it, and what its own hop did about it.
    members = {n.index for n in reading.subtree(item.account.node)}
    if item.within is not None and item.within is not item.by.node:
        # What follows a check that passed is another part's work.
        until = item.until
        members |= {n.index for n in reading.subtree(item.within) if until is None or n.start_ns < until}
    return members


class _TakenBack:
    """The times for which a ROLLBACK, or a connection that ended in one, took back what its service wrote beside it."""

    def __init__(self) -> None:
        self._times: dict[tuple[int, str], list[tuple[int, int]]] = {}  # from and to, by parent and service
        self._sorted: dict[tuple[int, str], tuple[list[int], list[int]]] = {}

    def add(self, rollback: Node, since: int, until: int) -> None:
        if rollback.parent is not None:
            self._times.setdefault((rollback.parent.index, rollback.service), []).append((since, until))

    def holds(self, node: Node) -> bool:
        """Whether what the span wrote was taken back."""
        if not self._times:
            return False
        for above in islice(node.ancestors(), _CLIMBED):
            key = above.index, node.service
            if key in self._times and self._within(key, node.start_ns):
                return True
        return False

    def _within(self, key: tuple[int, str], moment: int) -> bool:
        found = self._sorted.get(key)
        if found is None:
            times = sorted(self._times[key])
            found = self._sorted[key] = [t[0] for t in times], list(accumulate((t[1] for t in times), max))
        place = bisect_right(found[0], moment)
        return place > 0 and found[1][place - 1] >= moment


class _Undoing:
    """Which changes take others back: a DELETE of what was inserted, a cancellation, a release."""

    def __init__(self, changes: list[tuple[Node, effects.Change]]) -> None:
        self._deleted: dict[tuple[str, EffectKind, str], int] = {}  # the latest, by service, kind and target
        self._undone: dict[tuple[str, EffectKind], int] = {}
        self._made: dict[tuple[str, EffectKind, str], int] = {}  # the earliest
        for node, change in changes:
            key = node.service, change.kind
            if change.undoes:
                self._undone[key] = max(node.start_ns, self._undone.get(key, 0))
            elif change.verb == "DELETE":
                for target in _things(change.target):
                    self._deleted[(*key, target)] = max(node.start_ns, self._deleted.get((*key, target), 0))
            else:
                first = self._made.get((*key, change.target), node.start_ns)
                self._made[(*key, change.target)] = min(node.start_ns, first)

    def is_taken_back(self, node: Node, change: effects.Change, denied_at: int) -> bool:
        """Whether a later change by the same service, after the denial, undoes this one."""
        if change.undoes:
            return True
        since = max(denied_at, node.end_ns)
        key = node.service, change.kind
        if self._undone.get(key, -1) >= since:
            return True
        return change.verb != "DELETE" and self._deleted.get((*key, change.target), -1) >= since

    def takes_back(self, node: Node, change: effects.Change) -> bool:
        """Whether this change undoes an earlier one of the same service."""
        if change.verb != "DELETE":
            return change.undoes
        made = (self._made.get((node.service, change.kind, target)) for target in _things(change.target))
        return any(start is not None and start < node.start_ns for start in made)


def _things(target: str) -> tuple[str, ...]:
    """What a DELETE may take back: the thing itself, and what a POST to the collection above it made."""
    above = target.rpartition("/")[0]
    return (target, above) if above else (target,)
