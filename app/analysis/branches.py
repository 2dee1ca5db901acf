"""Branches of a hop: which steps a refusal should have stopped, asked of any number of refusals in little time.

A branch is the innermost span around a refusal that did other work as well, or is one of several of its name:

    orders  POST /orders/archive
      archive one            a branch: it is one of several
        check   refused      guards what follows it here, which is nothing
      archive one
        check   allowed
        UPDATE               not guarded by the refusal above
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property

from app.analysis.accounts import Account, State
from app.analysis.steps import is_business, is_check, writes
from app.traces.model import Node

_SHOWN = 50  # steps kept of those that a refusal should have stopped


class Branch:
    """The steps of one branch in the order they began, and where the next of each kind is."""

    def __init__(self, scope: Node, steps: Sequence[Account]) -> None:
        self.scope = scope
        self.steps = steps
        self._starts = [step.start for step in steps]

    @cached_property
    def business(self) -> list[bool]:
        return [is_business(step) for step in self.steps]

    @cached_property
    def _next_pass(self) -> list[int]:
        return self._next(lambda step: step.state is State.ALLOW and (step.check or is_check(step)))

    @cached_property
    def _next_write(self) -> list[int]:
        return self._next(lambda step: bool(writes(step)))

    @cached_property
    def _next_business(self) -> list[int]:
        return self._next(is_business)

    def _next(self, wanted: Callable[[Account], bool]) -> list[int]:
        """For each place the first place from there on where a step is wanted; the length where there is none."""
        found = [len(self.steps)] * (len(self.steps) + 1)
        for place in range(len(self.steps) - 1, -1, -1):
            found[place] = place if wanted(self.steps[place]) else found[place + 1]
        return found

    def after(self, moment: int) -> int:
        """The place of the first step that began at that moment or later."""
        return bisect_left(self._starts, moment)

    def at(self, place: int) -> Account | None:
        return self.steps[place] if place < len(self.steps) else None

    def guarded(self, step: Account) -> tuple[int, int]:
        """From and to: the steps after a refusal, up to the next check that passed."""
        first = self.after(step.end)
        if self.at(first) is step:  # it took no time
            first += 1
        return first, self._next_pass[first]

    def shown(self, step: Account) -> list[Account]:
        """The first of the guarded steps."""
        first, last = self.guarded(step)
        return list(self.steps[first : min(last, first + _SHOWN)])

    def writes(self, first: int, last: int) -> list[Account]:
        """The changes made by the steps between two places."""
        found: list[Account] = []
        place = self._next_write[first]
        while place < last and len(found) < _SHOWN:
            found.extend(writes(self.steps[place]))
            place = self._next_write[place + 1]
        return found

    def has_business(self, first: int, last: int) -> bool:
        return self._next_business[first] < last


class Branches:
    """The branches of one hop, each worked out when first asked for."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.whole = Branch(account.node, account.inner)
        self._inside = {step.node.index: step for step in account.inner}
        self._known: dict[int, Branch] = {}
        self._names: dict[int, Counter[str]] = {}
        self._workers: dict[tuple[int, str], list[Node]] = {}

    def of(self, step: Account) -> Branch:
        """The branch that a refusal guards."""
        reading = self._account.reading
        scope = reading.parent(step.node) or self._account.node
        guards = step.check or is_check(step)
        while scope is not self._account.node:
            above = reading.parent(scope)
            if above is None or (guards and any(self._branch(scope).business)) or self._is_item(scope, above, step):
                return self._branch(scope)
            scope = above
        return self.whole if guards else self._branch(step.node)

    def _branch(self, scope: Node) -> Branch:
        found = self._known.get(scope.index)
        if found is None:
            inside = (self._inside[n.index] for n in self._account.reading.subtree(scope) if n.index in self._inside)
            steps = sorted(inside, key=lambda step: (step.start, step.node.index))
            found = self._known[scope.index] = Branch(scope, steps)
        return found

    def _is_item(self, scope: Node, above: Node, step: Account) -> bool:
        """Whether it is one of several alike: others beside it have its name, or check the same and then do their work."""
        if self._named(above)[_shape(scope.span.name)] > 1:
            return True
        workers = self._workers_beside(above, step.node.span.name) if step.check else ()
        return any(kid is not scope for kid in workers)

    def _named(self, above: Node) -> Counter[str]:
        found = self._names.get(above.index)
        if found is None:
            found = self._names[above.index] = Counter(_shape(kid.span.name) for kid in self._account.reading.kids(above))
        return found

    def _workers_beside(self, above: Node, check: str) -> list[Node]:
        """The first two spans directly below that hold a check of this name and work of their own."""
        found = self._workers.get((above.index, check))
        if found is None:
            found = self._workers[above.index, check] = []
            for kid in self._account.reading.kids(above):
                if len(found) < 2 and kid.index not in self._inside:
                    branch = self._branch(kid)
                    if any(branch.business) and any(s.check and s.node.span.name == check for s in branch.steps):
                        found.append(kid)
        return found


def _shape(name: str) -> str:
    """A span's name with its numbers and ids made alike."""
    return " ".join("*" if any(c.isdigit() for c in word) else word for word in name[:256].split(" "))
