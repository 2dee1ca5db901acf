"""The ledger: the accounts of one trace, built from the leaves up, and only where the trace is not quiet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.analysis.accounts import Account, by_start
from app.analysis.answers import REFUSALS, Answer
from app.analysis.causes import conclude
from app.analysis.entry import is_taken_up
from app.analysis.reading import Reading
from app.analysis.steps import repeats
from app.traces.model import Node, SpanKind, Status

# Looked up once: these loops run for every span.
_SERVER, _CLIENT, _PRODUCER, _CONSUMER = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER
_ERROR, _FAILED, _OK = Status.ERROR, Answer.FAILED, Answer.OK


def _is_step(reading: Reading, node: Node) -> bool:
    """Whether a span answers, decides, fails or begins a hop; others are transparent."""
    span = node.span
    kind = span.kind
    if kind is _SERVER or kind is _CLIENT or kind is _PRODUCER or kind is _CONSUMER:
        return True
    if node.index in reading.signals:
        return True
    if span.status is _ERROR:
        return not repeats(node)
    parent = node.parent or reading.joined.get(node.index)
    return parent is None or (parent.span.resource is not span.resource and parent.service != node.service)


def _loud(reading: Reading) -> Iterator[Node]:
    """The spans that refused, were refused or failed, by what they answered."""
    answer_of = reading.answer
    for node in reading.order:
        span = node.span
        if span.status is _ERROR:
            if not repeats(node):
                yield node
            continue
        kind = span.kind
        inner = kind is not _SERVER and kind is not _CLIENT and kind is not _PRODUCER and kind is not _CONSUMER
        if inner and not (reading.keysets[node.index].answer and reading.starts_hop(node)):
            continue
        answer = answer_of(node)
        if answer is not _OK and (answer in REFUSALS or answer >= _FAILED):
            yield node


class Ledger:
    """The accounts of one trace: those of loud steps, of all steps around them, and of the steps beside those.

    background: consumers, which work after the answer, in order.
    """

    def __init__(self, reading: Reading, tops: Sequence[Node]) -> None:
        self.reading = reading
        self.accounts: dict[int, Account] = {}
        self.background: list[Account] = []
        consumers = [root for root in reading.trace.roots if is_taken_up(root)]
        self._build([*tops, *consumers])

    def of(self, node: Node) -> Account:
        """The account of a span; a quiet one is made on the spot."""
        found = self.accounts.get(node.index)
        return found if found is not None else Account(self.reading, node)

    def _build(self, tops: Sequence[Node]) -> None:
        reading = self.reading
        always = {top.index for top in tops}
        opened: dict[int, Node] = {top.index: top for top in tops}
        seen: set[int] = set()
        for signal in reading.signals.values():
            if signal.decision != "allow":
                self._open(signal.node, opened, seen, always)
        for node in _loud(reading):
            self._open(node, opened, seen, always)
        # From the leaves up: a step's place in the order is behind that of every step around it.
        place = {node.index: at for at, node in enumerate(reading.order)} if reading.joined else None
        for index in sorted(opened, key=(lambda i: -place[i]) if place is not None else (lambda i: -i)):
            account = self._account(opened[index])
            account.inner = sorted(self._inner(opened[index], always), key=by_start)
            conclude(account)
            if is_taken_up(account.node):
                self.background.append(account)
        self.background.sort(key=by_start)

    def _open(self, node: Node, opened: dict[int, Node], seen: set[int], always: set[int]) -> None:
        """Open the step itself and every step around it."""
        reading = self.reading
        here: Node | None = node
        while here is not None and here.index not in seen:
            seen.add(here.index)
            if here.index in always or _is_step(reading, here):
                opened[here.index] = here
            here = reading.parent(here)

    def _account(self, node: Node) -> Account:
        found = self.accounts.get(node.index)
        if found is None:
            found = self.accounts[node.index] = Account(self.reading, node)
        return found

    def _inner(self, node: Node, always: set[int]) -> Iterator[Account]:
        """The steps directly below a step. Consumers stand apart: they work after the answer."""
        reading = self.reading
        stack = list(reading.kids(node))
        while stack:
            below = stack.pop()
            if is_taken_up(below):
                continue
            if below.index in self.accounts:
                step = self.accounts[below.index]
                yield step
                if step.gate:
                    yield from step.inner  # what lies behind a gate came after it
            elif below.index in always or _is_step(reading, below):
                account = self._account(below)
                conclude(account)
                yield account
            else:
                stack.extend(reading.kids(below))
