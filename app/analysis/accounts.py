"""Accounts: how each span that matters came to end as it did, worked out from the leaves up.

    gateway   SERVER 403                      account: denied, because of its call
      call    CLIENT 403                      account: denied, because of the hop below
        orders  SERVER 403                    account: denied, because of its check
          check   INTERNAL auth.result=failure   account: denied, by itself: the origin

A span that answers, decides or fails is a step; spans between steps are transparent. Each step's account looks at the steps
directly below it and names the one that explains its own end, so the origin of a refusal is found by following `cause`
from the entry down. Quiet parts of a trace have no accounts at all.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Sequence

from app.analysis import effects, peers, reasons, statements, structure
from app.analysis.answers import GOOD, REFUSALS, Answer
from app.analysis.effects import Change
from app.analysis.peers import Peer
from app.analysis.reading import Reading
from app.analysis.signals import Signal
from app.analysis.verdict import EffectKind
from app.traces import semconv
from app.traces.model import Node, SpanKind, Status


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


class Item:
    """A refusal or failure that was tolerated: by whom, and the steps that went on in spite of it."""

    __slots__ = ("account", "after", "by", "kind", "within")

    def __init__(self, kind: Tolerated, account: Account, by: Account, after: Sequence[Account] = ()) -> None:
        self.kind = kind
        self.account = account
        self.by = by
        self.after = after
        self.within: Node | None = None  # the branch that the refusal guarded


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
        return self.node.end_ns

    @property
    def kind(self) -> SpanKind:
        return self.node.span.kind

    @property
    def is_hop(self) -> bool:
        return self.kind == SpanKind.SERVER or self.kind == SpanKind.CONSUMER or self.reading.starts_hop(self.node)

    @property
    def is_call(self) -> bool:
        return self.kind == SpanKind.CLIENT

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

    def chain(self) -> list[Account]:
        """From this account down its causes to the origin."""
        found = [self]
        while (cause := found[-1].cause or found[-1].said_no) is not None:
            found.append(cause)
        return found


# ------------------------------------------------------------------------------------------------------------ building

_REPEATS = ("http send", "http receive", "websocket send", "websocket receive")
_DENY, _BROKEN, _MUTE = 1, 2, 4


def _repeats(node: Node) -> bool:
    """A framework's inner span that only repeats the status of its request."""
    span = node.span
    if span.kind != SpanKind.INTERNAL:
        return False
    if span.name.endswith(_REPEATS) and ("asgi" in span.scope.name or "asgi.event.type" in span.attributes):
        return True
    return span.name == "request" and span.scope.name == "@fastify/otel"


def _is_step(reading: Reading, node: Node) -> bool:
    if node.index in reading.signals:
        return True
    kind = node.span.kind
    if kind == SpanKind.SERVER or kind == SpanKind.CLIENT or kind == SpanKind.PRODUCER or kind == SpanKind.CONSUMER:
        return True
    if node.span.status == Status.ERROR:
        return not _repeats(node)
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
            account.inner = sorted(buckets.pop(index, ()), key=_by_start)
            conclude(account)
            if node.span.kind == SpanKind.CONSUMER:
                self.background.append(account)
            elif around >= 0:
                buckets.setdefault(around, []).append(account)
        self.background.sort(key=_by_start)

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


def _by_start(account: Account) -> tuple[int, int]:
    return account.node.start_ns, account.node.index


def _by_end(account: Account) -> tuple[int, int]:
    return account.node.end_ns, account.node.index


# ---------------------------------------------------------------------------------------------------------- concluding


def conclude(account: Account) -> None:
    """Give an account its state and its cause; those below it have theirs."""
    _settle_retries(account)
    signal = account.signal
    decision = signal.decision if signal is not None else ""
    # What a request's own span says of a check is one more fact about the request; any other span is its check.
    is_request = account.kind == SpanKind.SERVER or account.kind == SpanKind.CONSUMER
    good = account.answer in GOOD
    if signal is not None and decision == "deny" and not (is_request and good and _went_on_itself(account)):
        _denied_by_signal(account, signal)
    elif decision == "error" and not (is_request and good):
        _broken_by_signal(account)
    elif decision == "unknown" and account.answer not in (Answer.FAILED, *REFUSALS):
        _mute(account)
    elif account.kind == SpanKind.CLIENT or account.kind == SpanKind.PRODUCER:
        _call(account)
    elif decision == "allow" and not is_request:
        account.state = State.ALLOW  # it vouches for what it did inside
    else:
        _hop(account)
    if decision == "allow" and account.state is State.FINE and account.said_no is None:
        account.state = State.ALLOW
    elif decision == "error" and is_request and good:
        account.items.append(Item(Tolerated.FAIL_OPEN, account, account, account.inner))


def _went_on_itself(account: Account) -> bool:
    """Whether a request's own span says that it was refused, and the request made its changes all the same."""
    signal, span = account.signal, account.node.span
    if signal is None or not signal.rule.id.startswith("generic.hand-written"):
        return False
    asked = peers.of_target(semconv.path(span), peers.rpc_name(span) or span.name)
    if asked in (Peer.POLICY, Peer.IDENTITY) or peers.name_role(account.node.service) is not None:
        return False  # an engine keeps its own records
    written = [step for step in account.inner if _writes(step)]
    if written:
        account.items.append(Item(Tolerated.BYPASSED, account, account, written))
    return bool(written)


def _live(account: Account) -> list[Account]:
    """The steps below that can explain the account's end: not those that began after it."""
    limit = account.end
    return [step for step in account.inner if step.start <= limit or step.start <= account.start]


# ------------------------------------------------------------------------------------------ attempts at the same thing


def _settle_retries(account: Account) -> None:
    """Mark each refusal or failure that a later success of the same kind made good."""
    steps = account.inner
    if len(steps) < 2:
        return
    bad = [s for s in steps if _bad(s)]
    if not bad:
        return
    good = [s for s in steps if not _bad(s) and s.state in (State.FINE, State.ALLOW)]
    # A probe's several answers are no attempts; see _is_probe.
    for step in bad:
        step.resolved_by = next((g for g in good if g.start >= step.end - 1 and _same_attempt(step, g)), None)


def _bad(step: Account) -> bool:
    return step.state in (State.DENY, State.BROKEN, State.SILENT) or step.said_no is not None


def _same_attempt(failed: Account, later: Account) -> bool:
    a, b = failed.node.span, later.node.span
    if failed.signal is not None and failed.check:
        if later.signal is None or later.state is not State.ALLOW or not later.check:
            return False
        if statements.phase(failed.signal) != statements.phase(later.signal):
            return False
        if statements.phase(failed.signal) == "authn" and failed.signal.says != "guard":
            return True  # a chain of authenticators: the last one counts
        return a.name == b.name and _resource(failed) == _resource(later) and bool(_resource(failed) or _is_retry(later))
    if failed.is_call and later.is_call:
        if structure.call_target(failed.node) == structure.call_target(later.node):
            return later.answer in (Answer.OK, Answer.REDIRECT) or later.state is State.ALLOW
        return _is_retry(later) and semconv.peer(a) == semconv.peer(b) and later.answer is Answer.OK
    if failed.state is State.BROKEN and failed.check and later.check:
        return later.state is State.ALLOW
    if failed.is_call and failed.state is State.BROKEN and failed.called in (Peer.POLICY, Peer.IDENTITY, Peer.KEYS):
        return later.check and later.state is State.ALLOW
    return failed.node.span.kind == later.node.span.kind == SpanKind.SERVER and (
        semconv.method(a), semconv.path(a), failed.node.service
    ) == (semconv.method(b), semconv.path(b), later.node.service)  # fmt: skip


def _resource(step: Account) -> str:
    return semconv.first_text(
        step.node.span.attributes,
        ("auth.resource", "authz.resource", "auth.permission", "authz.action", "auth.action", "authz.permission", "object"),
    )


def _is_retry(step: Account) -> bool:
    count = semconv.number(semconv.first(step.node.span.attributes, semconv.RESEND_COUNT))
    return count is not None and count > 0


# ----------------------------------------------------------------------------------------------- spans that said it


def _denied_by_signal(account: Account, signal: Signal) -> None:
    account.state = State.DENY
    steps = [s for s in _live(account) if s.resolved_by is None]
    if signal.says in ("store", "peer") and account.is_call and not any(s.is_hop for s in steps):
        return  # the SDK's own word on its call; the HTTP call below only repeats it
    deeper = [s for s in steps if _explains_refusal(s)]
    if deeper:
        chosen = choose(deeper, [])
        assert chosen is not None
        _because(account, chosen)
        return
    asked = [s for s in steps if s.state is State.MUTE]
    questions = [s for s in steps if s.is_call or s.check or s.state is State.MUTE]
    if asked and asked[-1] is questions[-1] and not _is_introspection(asked[-1]):
        # The engine's result stands on the asker's span: the decider is the engine, by its own span where it has one.
        account.decider = _server_of(asked[-1])
        account.asks_engine = True
        if account.decider is None and not (account.is_call or _speaks_for_engine(signal)):
            _because(account, asked[-1], Way.ENGINE)
        return
    broken = [s for s in steps if s.state is State.BROKEN and (s.is_call or s.kind == SpanKind.INTERNAL)]
    if broken and signal.is_check and _vague(account):
        account.state = State.BROKEN
        _because(account, max(broken, key=_by_end))
        return
    if signal.is_check and _names_dependency(account):
        account.state = State.BROKEN
        return
    if signal.rule.decider == "callee" and account.is_call:
        account.decider = _callee(account)


def _server_of(asked: Account) -> Node | None:
    """The engine's own span of an unrecorded answer, where it has one."""
    return next((a.decider or a.node for a in asked.chain() if a.decider is not None or a.kind == SpanKind.SERVER), None)


def _speaks_for_engine(signal: Signal) -> bool:
    """Whether the asker's attribute is named for an engine's answer: opa.decision, policy.decision."""
    return any(key.startswith(("opa.", "policy.", "cerbos.", "openfga.", "spicedb.", "pdp.", "authz.")) for key in signal.hit.keys)


def _is_introspection(step: Account) -> bool:
    """Looking a token up is the asker's own check; what it found is one of many things that may be wrong with a token."""
    return step.signal is not None and step.signal.rule.layer == "identity_provider"


def _vague(account: Account) -> bool:
    """Whether the words of a refusal leave open that it was a failure."""
    found = reasons.of(statements.reason_text(account.reading, account.node, account.signal))
    return found is None or found.code in ("dependency_error", "access_denied", "token_invalid", "login_required")


def _names_dependency(account: Account) -> bool:
    found = reasons.of(statements.reason_text(account.reading, account.node, account.signal))
    return found is not None and found.code == "dependency_error"


def _callee(account: Account) -> Node | None:
    """The called service's own span, where it has one."""
    servers = [s.node for s in account.inner if s.kind == SpanKind.SERVER]
    if servers:
        return servers[-1]
    below = (n for n in account.reading.subtree(account.node) if n.span.kind == SpanKind.SERVER and n is not account.node)
    return next(below, None)


def _broken_by_signal(account: Account) -> None:
    account.state = State.BROKEN
    steps = [s for s in _live(account) if s.resolved_by is None]
    refused = [s for s in steps if s.state is State.DENY and s.signal is not None and s.signal.says in ("store", "peer")]
    if refused:
        account.state = State.DENY  # the store that was to be asked turned us away
        _because(account, max(refused, key=_by_end))
        return
    deeper = [s for s in steps if s.state is State.BROKEN]
    if deeper:
        _because(account, max(deeper, key=_by_end))


def _mute(account: Account) -> None:
    account.state = State.MUTE
    steps = _live(account)
    said = [s for s in steps if s.state in (State.DENY, State.ALLOW, State.BROKEN) or s.said_no is not None]
    if said:
        last = said[-1]
        account.state = State.DENY if last.said_no is not None else last.state
        _because(account, last)
        return
    account.decider = _callee(account)


def _because(account: Account, cause: Account, way: Way = Way.PLAIN) -> None:
    account.cause = cause
    account.way = Way.SAID_NO if way is Way.PLAIN and cause.said_no is not None and cause.state is State.FINE else way
    if cause.state is State.SILENT and account.state is State.DENY:
        account.state = State.SILENT


def _explains_refusal(step: Account) -> bool:
    return step.state is State.DENY or step.said_no is not None


# --------------------------------------------------------------------------------------------------------------- calls


def _call(account: Account) -> None:
    """A CLIENT or PRODUCER span: the callee's account where it has one, else what the span itself was answered."""
    account.decider = None
    inside = [s for s in account.inner if s.kind in (SpanKind.SERVER, SpanKind.CLIENT) or s.is_hop]
    hop = inside[-1] if inside else None
    answer = account.answer
    if hop is not None:
        if hop.state in (State.DENY, State.BROKEN, State.SILENT):
            if answer in (Answer.OK, Answer.REDIRECT) and hop.answer not in (
                Answer.OK,
                Answer.REDIRECT,
                Answer.LOGIN,
                Answer.NONE,
            ):
                account.conflict = "the caller saw a good answer where the callee gave a bad one"
                account.items = list(hop.items)
                return
            account.state = hop.state
            account.cause = hop
            account.items = list(hop.items)
            return
        account.items = list(hop.items)
        if answer in REFUSALS and hop.answer not in REFUSALS:
            if hop.said_no is not None:
                account.state = State.DENY
                _because(account, hop)
                return
            # Something between the two refused, and it has no span.
            account.state = State.SILENT if hop.answer in (Answer.OK, Answer.REDIRECT) else State.DENY
            account.way = Way.INTERMEDIARY
            return
        if answer is Answer.FAILED and hop.answer is not Answer.FAILED:
            account.state = State.BROKEN  # it gave up waiting, or the answer was lost
            return
        account.said_no = hop if hop.said_no is not None else None
        if hop.state in (State.ALLOW, State.MUTE):
            account.state = hop.state
            account.cause = hop if hop.state is State.MUTE else None
        elif account.said_no is None:
            account.state = _verdict_of(hop)
            if account.state is State.MUTE:
                account.cause = hop
        return
    if answer in REFUSALS:
        account.state = State.DENY
    elif answer is Answer.FAILED or answer is Answer.CANCELLED:
        account.state = State.BROKEN
        broken = [s for s in account.inner if s.state is State.BROKEN]
        if broken:
            account.cause = max(broken, key=_by_end)
    elif account.node.span.status == Status.ERROR:
        account.state = State.BROKEN if answer not in (Answer.MISSING, Answer.BUSINESS) else State.FINE
    else:
        account.items = [item for step in account.inner for item in step.items]


def _verdict_of(hop: Account) -> State:
    """What a good answer stood for: the last word of the checks that its hop made, if it did nothing else."""
    if hop.cause is not None and hop.cause.state is State.MUTE:
        return State.MUTE
    checks = [s for s in hop.inner if s.state in (State.ALLOW, State.MUTE) and (s.check or s.state is State.MUTE)]
    if checks and not any(_is_business(s) for s in hop.inner):
        return checks[-1].state
    return State.FINE


# ---------------------------------------------------------------------------------------------------------------- hops


def _hop(account: Account) -> None:
    """A SERVER, CONSUMER or root span, or an inner span in error: what below it explains its answer."""
    answer = account.answer
    steps = _live(account)
    account.items.extend(item for step in account.inner for item in step.items)
    if account.kind == SpanKind.INTERNAL and not account.is_hop:
        _fault(account, steps)
    elif answer in REFUSALS:
        _refused(account, steps)
    elif answer is Answer.FAILED or answer is Answer.CANCELLED:
        _failed(account, steps)
    elif answer is Answer.MISSING or answer is Answer.BUSINESS or answer is Answer.REDIRECT:
        _business(account, steps)
    else:
        _tolerate(account)


def _fault(account: Account, steps: list[Account]) -> None:
    """An inner span in error: the failure or refusal below it that it passes on, else its own."""
    account.state = State.BROKEN
    bad = [s for s in steps if s.resolved_by is None and (s.state in (State.DENY, State.BROKEN, State.SILENT))]
    if bad:
        last = max(bad, key=_by_end)
        account.state = last.state
        account.cause = last


def _is_guarding(step: Account) -> bool:
    """Whether the step is a check whose failure may have closed the door."""
    if step.check:
        return True
    if not step.is_call:
        return step.signal is not None and step.signal.says in ("fetch", "peer")
    if step.signal is not None and step.signal.says in ("fetch", "peer"):
        return True
    return step.called in (Peer.POLICY, Peer.IDENTITY, Peer.KEYS, Peer.LIMITER)


def _refused(account: Account, steps: list[Account]) -> None:
    """401, 403 and their like: the last refusal or broken check before it, else the hop itself or nobody that is seen."""
    account.state = State.DENY
    open_ = [s for s in steps if s.resolved_by is None]
    refusals = [s for s in open_ if _explains_refusal(s) or s.state is State.SILENT]
    if account.answer is Answer.THROTTLED:
        refusals = [s for s in refusals if _throttles(s)]
    broken = [s for s in open_ if s.state is State.BROKEN and _is_guarding(s) and not _after_refusal(s, refusals)]
    found = choose(refusals, broken)
    if found is not None:
        _explain(account, found)
        return
    if account.answer is Answer.THROTTLED:
        limiter = _last_guard(account)
        if limiter is not None and is_limiter_name(limiter.node.span.name):
            account.cause, account.way = limiter, Way.GUARD
        else:
            account.way = Way.OWN
        return
    asked = _unrecorded(open_)
    if asked is not None:
        _because(account, asked, Way.ENGINE)
        return
    guard = _last_guard(account)
    if guard is not None:
        account.cause, account.way = guard, Way.GUARD
        return
    # What is left: a call that failed last, calls that may have said no, or nobody but the hop itself.
    calls = [s for s in open_ if _may_refuse(s)]
    last = calls[-1] if calls else None
    failed = [s for s in open_ if s.state is State.BROKEN and (s.is_call or s.kind == SpanKind.INTERNAL)]
    if failed and (last is None or max(failed, key=_by_end).end >= last.end) and _ends_with(open_, max(failed, key=_by_end)):
        _explain(account, max(failed, key=_by_end))
        account.way = Way.LAST_FAILURE
        return
    if calls or _orphans_below(account):
        account.state = State.SILENT
        account.opaque = calls
        return
    account.way = Way.OWN


def _explain(account: Account, cause: Account) -> None:
    account.cause = cause
    if cause.state is State.BROKEN and cause.said_no is None:
        account.state = State.BROKEN
    elif cause.state is State.SILENT:
        account.state = State.SILENT
    else:
        account.state = State.DENY
        if cause.state is State.FINE:
            account.way = Way.SAID_NO


def _throttles(step: Account) -> bool:
    origin = step.chain()[-1]
    if origin.answer is Answer.THROTTLED or step.answer is Answer.THROTTLED:
        return True
    return origin.signal is not None and (origin.signal.hit.condition.layer or origin.signal.rule.layer) == "rate_limiter"


def _after_refusal(broken: Account, refusals: list[Account]) -> bool:
    """A failure after a check's refusal is its consequence."""
    return any(r.end <= broken.start and (r.check or r.explicit or r.called is Peer.POLICY) for r in refusals)


def choose(refusals: list[Account], broken: list[Account]) -> Account | None:
    """The refusal that counts: the last; of equal ones in a batch the first; of attempts at one thing the last."""
    if not refusals and not broken:
        return None
    last = max((*refusals, *broken), key=_by_end)
    if last in broken or last.state is State.SILENT:
        return last
    equal = [r for r in refusals if _equal(r, last)]
    if len(equal) < 2:
        return last
    if _attempts(equal):
        return last
    best = max(_weight(r) for r in equal)
    return min((r for r in equal if _weight(r) == best), key=_by_start)


def _equal(a: Account, b: Account) -> bool:
    """Whether two refusals are the same question asked again."""
    x, y = a.node.span, b.node.span
    if a is b:
        return True
    if a.signal is not None and b.signal is not None and a.signal.is_store and b.signal.is_store:
        # One statement seen by the driver's and by the library's instrumentation; or a batch of statements.
        return semconv.db_system(x) == semconv.db_system(y) and semconv.messaging_system(x) == semconv.messaging_system(y)
    if (a.signal is None) != (b.signal is None) or x.kind != y.kind:
        return False
    if a.signal is not None and b.signal is not None and a.signal.rule is not b.signal.rule:
        return False
    if a.is_call:
        return semconv.peer(x) == semconv.peer(y) and (
            semconv.method(x) == semconv.method(y) and (semconv.route(x) or _shape(x)) == (semconv.route(y) or _shape(y))
        )
    return x.name == y.name


def _shape(span: object) -> str:
    """A path with its numbers and ids made alike."""
    pieces = semconv.path(span).split("/")  # type: ignore[arg-type]
    return "/".join("*" if any(c.isdigit() for c in piece) else piece for piece in pieces) or peers.rpc_name(span)  # type: ignore[arg-type]


def _attempts(equal: list[Account]) -> bool:
    """Whether equal refusals were tries at one thing, one after the other, rather than a batch."""
    if not all(step.is_call for step in equal):
        return False
    targets = {structure.call_target(step.node) for step in equal}
    if len(targets) > 1:
        return False
    ordered = sorted(equal, key=_by_start)
    return all(a.end <= b.start for a, b in itertools.pairwise(ordered))


def _weight(step: Account) -> int:
    """How good the step's proof is, to choose between two spans of one statement."""
    if step.signal is None:
        return 0
    return {"explicit": 3, "code": 3, "structure": 2, "protocol": 1, "words": 1}[step.signal.evidence]


def _unrecorded(steps: list[Account]) -> Account | None:
    """The engine whose unrecorded answer was followed at once by the refusal: no other check and no call after it."""
    asked = [s for s in steps if s.state is State.MUTE]
    if not asked:
        return None
    last = asked[-1]
    for later in steps:
        if later.start < last.end:
            continue
        if later.check or _may_refuse(later) or later.state is State.ALLOW:
            return None
    return last


_IGNORED = frozenset({Peer.KEYS, Peer.SIDE, Peer.BROKER, Peer.LIMITER})


def _may_refuse(step: Account) -> bool:
    """Whether a call may have refused in a way that the trace does not show."""
    if step.state in (State.ALLOW, State.BROKEN):
        return False
    if step.kind == SpanKind.SERVER:
        return not _said_yes(step)
    if not step.is_call or step.is_store_call:
        return False
    if step.called in _IGNORED or step.called is Peer.CLOUD:
        return False
    if step.kind == SpanKind.PRODUCER:
        return False
    if not (peers.is_call_between_services(step.node.span) or step.state is State.MUTE or step.inner):
        return False
    return not _said_yes(step)


def _said_yes(step: Account) -> bool:
    """Whether a check inside the callee says that it allowed."""
    return any(step.reading.allows(node) for node in step.reading.subtree(step.node) if node is not step.node)


def _ends_with(steps: list[Account], step: Account) -> bool:
    """Whether nothing but reads and sends came after the step."""
    return not any(s.start >= step.end and (s.check or _may_refuse(s)) for s in steps if s is not step)


def _orphans_below(account: Account) -> bool:
    """Whether spans without a known parent were placed below: what they hung from may have refused."""
    joined = account.reading.joined
    if not joined:
        return False
    return any(
        node.index in joined and node.lost_parent for node in account.reading.subtree(account.node) if node is not account.node
    )


_GUARD_WORDS = ("auth", "guard", "acl", "jwt", "permission", "authorize", "rbac", "limiter", "ratelimit", "rate limit",
                "rate_limit", "throttl", "csrf", "session check", "access check", "access_check", "apikey", "api_key",
                "api-key", "policy", "whitelist", "allowlist", "denylist", "blocklist", "ip filter", "token check",
                "verify token", "validate token", "require", "ensure", "firewall")  # fmt: skip


def is_guard_name(name: str) -> bool:
    """Whether a span's name says that it guards, limits or checks."""
    lowered = name[:128].lower()
    return any(word in lowered for word in _GUARD_WORDS)


def is_limiter_name(name: str) -> bool:
    """Whether a span's name says that it counts requests."""
    return any(word in name[:128].lower() for word in ("limit", "throttl", "quota"))


def _last_guard(account: Account) -> Account | None:
    """A named guard, limiter or middleware span that is the last of its hop before the refusal."""
    reading = account.reading
    last: Node | None = None
    stack = [account.node]
    while stack:
        node = stack.pop()
        for kid in reading.kids(node):
            if reading.starts_hop(kid) or _repeats(kid) or kid.start_ns > account.end:
                continue
            if last is None or (kid.start_ns, kid.index) > (last.start_ns, last.index):
                last = kid
            stack.append(kid)
    while last is not None and last is not account.node:
        if last.span.kind == SpanKind.INTERNAL and is_guard_name(last.span.name):
            calls = [s for s in account.inner if _may_refuse(s)]
            if calls:
                return None
            found = Account(reading, last)
            found.state = State.DENY
            found.check = True
            return found
        if last.span.kind != SpanKind.INTERNAL and not semconv.db_system(last.span):
            return None
        last = reading.parent(last)
    return None


def _failed(account: Account, steps: list[Account]) -> None:
    """5xx: a refusal that came out as an error, else the failure that explains it."""
    account.state = State.BROKEN
    open_ = [s for s in steps if s.resolved_by is None]
    refusals = [s for s in open_ if _explains_refusal(s)]
    broken = [s for s in open_ if s.state is State.BROKEN]
    if refusals:
        refusal = choose(refusals, [])
        assert refusal is not None
        if not any(_is_independent(b, refusal, open_) for b in broken):
            _explain(account, refusal)
            return
        broken = [b for b in broken if _is_independent(b, refusal, open_)]
    if broken:
        calls = [b for b in broken if b.is_call]
        account.cause = max(calls or broken, key=_by_end) if not _inner_last(broken) else max(broken, key=_by_end)
        return
    silent = [s for s in open_ if s.state is State.SILENT]
    if silent:
        account.cause, account.state = silent[-1], State.SILENT
        return
    if account.signal is None and account.answer is Answer.FAILED:
        said = [s for s in open_ if s.said_no is not None]
        if said:
            _explain(account, said[-1])


def _inner_last(broken: list[Account]) -> bool:
    last = max(broken, key=_by_end)
    return last.kind == SpanKind.INTERNAL and not any(b.is_call and b.start <= last.start <= b.end for b in broken)


def _is_independent(broken: Account, refusal: Account, steps: list[Account]) -> bool:
    """Whether a failure has a cause of its own, rather than being what a refusal led to."""
    if broken.end < refusal.end:
        return False
    if broken.is_call:
        return broken.start >= refusal.end
    if refusal.check or refusal.explicit:
        return any(_is_business(s) and refusal.end <= s.start and s.end <= broken.start for s in steps)
    return any(_is_business(s) and refusal.end <= s.start <= broken.start for s in steps)


def _business(account: Account, steps: list[Account]) -> None:
    """404, a redirect and other answers of the business: a refusal in other clothes where one came last, else an answer."""
    open_ = [s for s in steps if s.resolved_by is None]
    refusals = [s for s in open_ if _explains_refusal(s)]
    if refusals:
        refusal = choose(refusals, [])
        assert refusal is not None
        later = [s for s in open_ if s.start >= refusal.end and s is not refusal]
        relayed = [s for s in later if s.answer is account.answer and s.is_call]
        if not relayed and not any(_is_business(s) for s in later):
            _explain(account, refusal)
            return
    silent = [s for s in open_ if s.state is State.SILENT]
    if silent and silent[-1] is open_[-1]:
        account.cause, account.state = silent[-1], State.SILENT
        return
    _tolerate(account)


# ------------------------------------------------------------------------------------------------ what was tolerated


def _is_business(step: Account) -> bool:
    """Whether the step did some of the request's own work, and it succeeded."""
    if step.state in (State.DENY, State.BROKEN, State.SILENT, State.MUTE) or step.said_no is not None or step.check:
        return False
    if step.change is not None:
        return step.change.kind is not EffectKind.AUDIT and not step.change.bookkeeping
    if step.is_store_call:
        return semconv.db_operation(step.node.span) not in effects.words().sql_control
    if step.kind == SpanKind.PRODUCER:
        return False
    if step.is_call:
        return step.called in (Peer.SERVICE, Peer.CLOUD) and step.answer is not Answer.FAILED
    if step.kind == SpanKind.SERVER:
        return step.answer in (Answer.OK, Answer.REDIRECT, Answer.NONE)
    return False


def _writes(step: Account) -> list[Account]:
    """The changes that matter in a step: its own, and those of the hops below it."""
    found = []
    change = step.change
    if change is not None and change.kind is not EffectKind.AUDIT and not change.bookkeeping and not _is_outbox(change):
        found.append(step)
    for node in step.reading.subtree(step.node):
        if node is not step.node:
            below = effects.change(node.span)
            if below is not None and below.kind is not EffectKind.AUDIT and not below.bookkeeping:
                found.append(Account(step.reading, node))
                break
    return found


def _is_outbox(change: Change) -> bool:
    return effects.words().outbox.search(change.target) is not None


def _tolerate(account: Account) -> None:
    """What became of the refusals and failures below a hop that answered well."""
    steps = account.inner
    bad = [s for s in steps if _bad(s)]
    items = account.items
    if not bad:
        mute = [s for s in steps if s.state is State.MUTE]
        if mute and mute[-1] is steps[-1] and account.kind == SpanKind.SERVER and not any(_is_business(s) for s in steps):
            account.cause = mute[-1]  # a service that only passes an engine's answer on
        return
    for step in bad:
        if step.resolved_by is not None:
            items.append(Item(Tolerated.RETRIED, step, account, (step.resolved_by,)))
    open_ = [s for s in bad if s.resolved_by is None]
    for step in open_:
        if step.state is State.BROKEN and step.said_no is None:
            if _is_guarding(step):
                items.append(Item(Tolerated.FAIL_OPEN, step, account, _after(account, step)[0]))
        elif step.state is not State.SILENT or step.said_no is not None:
            items.append(_item(account, step))
        else:
            items.append(Item(Tolerated.PARTIAL, step, account))
    final = [item for item in items if item.by is account and item.kind is Tolerated.SAID_NO]
    if final:
        account.said_no = choose([item.account for item in final], [])
        for item in final:
            items.remove(item)


def _item(account: Account, step: Account) -> Item:
    """The classification of one refusal below a hop that answered well."""
    after, within = _after(account, step)
    family = _family(account, step)
    allowed = [s for s in family if s.state is State.ALLOW]
    item = Item(Tolerated.PARTIAL, step, account, after)
    item.within = within
    if _is_check(step):
        written = [w for s in after for w in _writes(s)]
        if written and not (allowed and not _alike(written, account, allowed)):
            item.kind = Tolerated.BYPASSED
            return item
        if len(family) > 1 and _is_probe(account, family):
            item.kind = Tolerated.PROBE
            return item
        if any(_is_business(s) for s in after):
            first = not any(_is_business(s) for s in account.inner if s.end <= step.start)
            item.kind = Tolerated.BYPASSED if first and not allowed else Tolerated.PARTIAL
            return item
        if _other_fields(account, step):
            return item
        if _asks_permission(account):
            item.kind = Tolerated.PROBE
            return item
        if _delivered(account, step, reads_count=within is not account.node):
            return item
        item.kind = Tolerated.SAID_NO
        return item
    if not _delivered(account, step, reads_count=True):
        item.kind = Tolerated.SAID_NO
    return item


def _is_check(step: Account) -> bool:
    """Whether a refusal was the answer to a question about permission, rather than of a resource that was asked for."""
    if step.check:
        return True
    if step.signal is not None and step.signal.says == "peer":
        return step.signal.rule.layer in ("policy_engine", "identity_provider")
    if step.is_call:
        if step.called is Peer.POLICY or (step.called is Peer.IDENTITY and peers.asks_identity(step.node.span)):
            return True
        if step.said_no is not None:
            return True
    return False


def _after(account: Account, step: Account) -> tuple[list[Account], Node]:
    """The steps that the refusal should have stopped: those after it in its branch, up to the next check that passed.

    The branch is the innermost span around the refusal that did other work as well, or is one of several of its name.
    """
    reading = account.reading
    inside = {s.node.index: s for s in account.inner}
    scope = reading.parent(step.node) or account.node
    while scope is not account.node:
        below = [inside[n.index] for n in reading.subtree(scope) if n.index in inside]
        if any(_is_business(s) or (s is not step and not s.check) for s in below):
            break
        above = reading.parent(scope)
        if above is None or any(k is not scope and k.span.name == scope.span.name for k in reading.kids(above)):
            break
        scope = above
    members = {n.index for n in reading.subtree(scope)} if scope is not account.node else None
    guarded = []
    for later in account.inner:
        if later is step or later.start < step.end or (members is not None and later.node.index not in members):
            continue
        if later.state is State.ALLOW and (later.check or _is_check(later)):
            break
        guarded.append(later)
    return guarded, scope


def _family(account: Account, step: Account) -> list[Account]:
    """The checks of the hop that ask the same kind of question as this one."""
    if step.check:
        return [s for s in account.inner if s.check and s.node.span.name == step.node.span.name]
    return [s for s in account.inner if s.is_call and step.is_call and _equal_call(s, step)]


def _equal_call(a: Account, b: Account) -> bool:
    x, y = a.node.span, b.node.span
    return semconv.peer(x) == semconv.peer(y) and semconv.method(x) == semconv.method(y) and _shape(x) == _shape(y)


def _is_probe(account: Account, family: list[Account]) -> bool:
    """Whether several checks were a question about permissions: asked in a row, with no change made on their word."""
    ordered = sorted(family, key=_by_start)
    first, last = ordered[0], ordered[-1]
    between = [s for s in account.inner if first.end <= s.start <= last.start and s not in family]
    if any(_is_business(s) for s in between):
        return False
    tail = [s for s in account.inner if s.start >= last.end]
    return not any(_writes(s) for s in (*between, *tail))


def _alike(written: Iterable[Account], account: Account, allowed: list[Account]) -> bool:
    """Whether a change after a refusal is one of those that the allowed checks of the batch stand before."""
    usual = set()
    for check in allowed:
        for later in account.inner:
            if later.start >= check.end and later.change is not None:
                usual.add((later.change.kind, later.change.target, later.change.verb))
                break
    return any(w.change is not None and (w.change.kind, w.change.target, w.change.verb) in usual for w in written)


_QUESTIONS = ("/permissions", "/permission", "/can-i", "/can_i", "/cani", "/capabilities", "/entitlements", "/access",
              "/authorize", "/authz", "/allowed", "/abilities", "/my-rights", "/rights", "/whoami", "/check")  # fmt: skip


def _asks_permission(account: Account) -> bool:
    """Whether the request itself asked what is permitted, so that a no is the answer it wanted."""
    path = (semconv.route(account.node.span) or semconv.path(account.node.span)).lower().rstrip("/")
    return bool(path) and semconv.method(account.node.span) in ("GET", "HEAD") and path.endswith(_QUESTIONS)


def _other_fields(account: Account, step: Account) -> bool:
    """Whether other fields of the same GraphQL operation resolved."""
    scope = step.node.span.scope.name
    if step.signal is None or not step.signal.rule.id.startswith("generic.graphql"):
        return False
    return any(
        node.span.scope.name == scope
        and node.span.name.startswith("graphql.resolve")
        and node.span.status != Status.ERROR
        and node.index not in account.reading.signals
        for node in account.reading.subtree(account.node)
    )


def _delivered(account: Account, step: Account, *, reads_count: bool) -> bool:
    """Whether the hop did other work of its own, so that the refusal cost only a part of the answer."""
    for other in account.inner:
        if other is step or not _is_business(other):
            continue
        if other.is_store_call and other.change is None and not reads_count:
            continue
        return True
    return False
