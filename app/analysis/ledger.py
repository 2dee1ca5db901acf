"""The ledger: the accounts of one trace, built from the leaves up, and only where the trace is not quiet."""

from __future__ import annotations

from collections.abc import Sequence

from app.analysis.accounts import Account, by_start
from app.analysis.answers import REFUSALS, Answer
from app.analysis.causes import conclude
from app.analysis.reading import Reading
from app.analysis.steps import repeats
from app.traces.model import Node, SpanKind, Status

_DENY, _BROKEN, _MUTE = 1, 2, 4


def _is_step(reading: Reading, node: Node) -> bool:
    if node.index in reading.signals:
        return True
    kind = node.span.kind
    if kind == SpanKind.SERVER or kind == SpanKind.CLIENT or kind == SpanKind.PRODUCER or kind == SpanKind.CONSUMER:
        return True
    if node.span.status == Status.ERROR:
        return not repeats(node)
    return reading.parent(node) is None or reading.starts_hop(node)


class Ledger:
    """The accounts of one trace: those of every step whose surroundings are not quiet."""

    def __init__(self, reading: Reading, tops: Sequence[Node]) -> None:
        self.reading = reading
        self.accounts: dict[int, Account] = {}
        self.background: list[Account] = []  # consumers, which work after the answer
        consumers = [root for root in reading.trace.roots if root.span.kind == SpanKind.CONSUMER]
        self._build({top.index for top in (*tops, *consumers)})

    def of(self, node: Node) -> Account:
        """The account of a span; a quiet one is made on the spot."""
        found = self.accounts.get(node.index)
        return found if found is not None else Account(self.reading, node)

    def _build(self, tops: set[int]) -> None:
        reading = self.reading
        order = reading.order
        size = len(reading.trace.nodes)
        above = [-1] * size  # the step around each span
        steps = bytearray(size)
        noise = bytearray(size)
        parent_of = reading.parent
        for node in order:
            index = node.index
            parent = node.parent or parent_of(node)
            if parent is not None:
                above[index] = parent.index if steps[parent.index] else above[parent.index]
            if index in tops or _is_step(reading, node):
                steps[index] = 1
        for node in reversed(order):
            index = node.index
            if steps[index]:
                noise[index] |= self._noise(node)
            around = above[index]
            if around >= 0 and noise[index]:
                noise[around] |= noise[index]
        buckets: dict[int, list[Account]] = {}
        for node in reversed(order):
            index = node.index
            if not steps[index]:
                continue
            around = above[index]
            if not noise[index] and (around < 0 or not noise[around]) and index not in tops:
                continue
            account = self.accounts[index] = Account(reading, node)
            account.inner = sorted(buckets.pop(index, ()), key=by_start)
            conclude(account)
            if node.span.kind == SpanKind.CONSUMER:
                self.background.append(account)
            elif around >= 0:
                buckets.setdefault(around, []).append(account)
        self.background.sort(key=by_start)

    def _noise(self, node: Node) -> int:
        found = 0
        signal = self.reading.signals.get(node.index)
        if signal is not None:
            found = {"deny": _DENY, "error": _BROKEN, "unknown": _MUTE}.get(signal.decision, 0)
        if node.span.status == Status.ERROR:
            found |= _BROKEN
        answer = self.reading.answer(node)
        if answer in REFUSALS:
            found |= _DENY
        elif answer >= Answer.FAILED:
            found |= _BROKEN
        return found
