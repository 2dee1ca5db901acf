"""Accounts: how each span that matters came to end as it did.

    gateway   SERVER 403                          account: denied, because of its call
      call    CLIENT 403                          account: denied, because of the hop below
        orders  SERVER 403                        account: denied, because of its check
          check   INTERNAL auth.result=failure    account: denied, by itself: the origin

A span that answers, decides or fails is a step; spans between steps are transparent. Each step's account looks at the steps
directly below it and names the one that explains its own end, so the origin of a refusal is found by following `cause`
from the entry down. They are worked out from the leaves up: ledger.py builds them, causes.py and requests.py conclude them.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

from app.analysis import effects, peers
from app.analysis.effects import Change
from app.analysis.peers import Peer
from app.analysis.reading import Reading
from app.analysis.signals import Signal
from app.traces import semconv
from app.traces.model import Node, SpanKind


class State(enum.IntEnum):
    """How a step ended."""

    FINE = 0  # it succeeded, or nothing says otherwise
    ALLOW = 1  # a check that let the request pass
    DENY = 2  # it was refused, or refused
    BROKEN = 3  # it failed
    MUTE = 4  # an engine was asked and its answer is unrecorded
    SILENT = 5  # it refused, and the trace does not show by whom


class Way(enum.IntEnum):
    """How an account was explained, where more than the cause must be said."""

    PLAIN = 0
    ENGINE = 1  # an engine's unrecorded answer, followed at once by the refusal
    GUARD = 2  # a named guard was the last span before the refusal
    LAST_FAILURE = 3  # a call failed and nothing else stood before the refusal
    SAID_NO = 4  # the callee answered well and refused in its body
    OWN = 5  # it refused by itself: protocol evidence
    INTERMEDIARY = 6  # the caller saw a refusal that the callee did not give


class Tolerated(enum.IntEnum):
    """What became of a refusal that did not stop the request."""

    BYPASSED = 0  # the guarded thing happened all the same
    SAID_NO = 1  # nothing more happened: the answer's body carried the refusal
    PARTIAL = 2  # a branch was refused, by design
    FAIL_OPEN = 3  # a check broke and let the request through
    RETRIED = 4  # a later attempt at the same thing succeeded
    PROBE = 5  # one answer of many to a question about permissions
    OPTIONAL = 6  # the check was to say who asks; the request went on without a person


class Item:
    """A refusal or failure that was tolerated: by whom, and the steps that went on in spite of it.

    within: the branch that the refusal guarded; until: when a check in it passed, None where none did.
    """

    __slots__ = ("account", "after", "by", "kind", "until", "within")

    def __init__(self, kind: Tolerated, account: Account, by: Account, after: Sequence[Account] = ()) -> None:
        self.kind = kind
        self.account = account
        self.by = by
        self.after = after
        self.within: Node | None = None
        self.until: int | None = None


class Account:
    """One step's account. `inner` are the steps directly below, in the order they began."""

    __slots__ = (
        "_change",
        "_change_known",
        "answer",
        "asks_engine",
        "cause",
        "check",
        "conflict",
        "decider",
        "gate",
        "inner",
        "items",
        "node",
        "opaque",
        "peer",
        "reading",
        "resolved_by",
        "said_no",
        "signal",
        "state",
        "way",
    )  # fmt: skip

    def __init__(self, reading: Reading, node: Node) -> None:
        self.reading = reading
        self.node = node
        self.signal: Signal | None = reading.signals.get(node.index)
        self.answer = reading.answer(node)
        self.state = State.FINE
        self.check = self.signal is not None and self.signal.is_check
        self.cause: Account | None = None
        self.way = Way.PLAIN
        self.inner: list[Account] = []
        self.items: list[Item] = []
        self.resolved_by: Account | None = None
        self.said_no: Account | None = None  # the refusal in the body of a good answer
        self.opaque: list[Account] = []  # calls below that may have refused, where the state is SILENT
        self.decider: Node | None = None  # the decider's own span, where the result stands on the asker's
        self.conflict = ""
        self.gate = self.signal is not None and self.signal.says == "gate"
        self.asks_engine = False  # the result on its span is an engine's
        self.peer: Peer | None = None
        self._change: Change | None = None
        self._change_known = False

    def __repr__(self) -> str:
        return f"<Account {self.state.name} {self.node.service} {self.node.span.name!r}>"

    @property
    def start(self) -> int:
        return self.node.start_ns

    @property
    def end(self) -> int:
        """When the step was over; a gate has said its word when it opens."""
        return self.node.start_ns if self.gate else self.node.end_ns

    @property
    def kind(self) -> SpanKind:
        return self.node.span.kind

    @property
    def is_hop(self) -> bool:
        return self.kind == SpanKind.SERVER or self.kind == SpanKind.CONSUMER or self.reading.starts_hop(self.node)

    @property
    def is_call(self) -> bool:
        """Whether the step called another service: a CLIENT span, or a server's where the call itself has no span."""
        return self.kind == SpanKind.CLIENT or self.kind == SpanKind.SERVER

    @property
    def change(self) -> Change | None:
        """What the step itself changed."""
        if not self._change_known:
            self._change_known = True
            self._change = effects.change(self.node.span)
        return self._change

    @property
    def called(self) -> Peer:
        """What the step called."""
        if self.peer is None:
            self.peer = peers.of_call(self.node.span)
        return self.peer

    @property
    def is_store_call(self) -> bool:
        return bool(semconv.db_system(self.node.span))

    @property
    def explicit(self) -> bool:
        return self.signal is not None and self.signal.evidence in ("explicit", "code")

    @property
    def spoke(self) -> Signal | None:
        """The span's own statement, where it is one of a refusal or failure; an allow does not explain a refusal."""
        return self.signal if self.signal is not None and self.signal.decision != "allow" else None

    def chain(self) -> list[Account]:
        """From this account down its causes to the origin."""
        found = [self]
        while (cause := found[-1].cause or found[-1].said_no) is not None:
            found.append(cause)
        return found


def by_start(account: Account) -> tuple[int, int]:
    return account.node.start_ns, account.node.index


def by_end(account: Account) -> tuple[int, int]:
    return account.end, account.node.index


def gathered(account: Account) -> list[Item]:
    """What the steps below tolerated, and what the span itself did; a single list is passed up, not copied."""
    lists = [items for items in (account.items, *(step.items for step in account.inner)) if items]
    if len(lists) == 1:
        return lists[0]
    return [item for items in lists for item in items]


def live(account: Account) -> list[Account]:
    """The steps below that can explain the account's end: not those that began after it."""
    span = account.node.span
    if not span.start_ns or not span.end_ns or span.end_ns < span.start_ns:
        return list(account.inner)  # nobody knows when it ended
    joined, limit = account.reading.joined, max(account.start, account.end)
    # Where a part of the trace was joined by a guess, its clock was never set against this one.
    return [step for step in account.inner if step.start <= limit or step.node.index in joined]


def because(account: Account, cause: Account, way: Way = Way.PLAIN) -> None:
    account.cause = cause
    account.way = Way.SAID_NO if way is Way.PLAIN and cause.said_no is not None and cause.state is State.FINE else way
    if cause.state is State.SILENT and account.state is State.DENY:
        account.state = State.SILENT


def explain(account: Account, cause: Account) -> None:
    account.cause = cause
    if cause.state is State.BROKEN and cause.said_no is None:
        account.state = State.BROKEN
    elif cause.state is State.SILENT:
        account.state = State.SILENT
    else:
        account.state = State.DENY
        if cause.state is State.FINE:
            account.way = Way.SAID_NO
