"""Several refusals: tries at one thing, a batch of questions, or one check after another; and which of them counts.

Source: docs/method.md, "Which of several".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import pairwise

from app.analysis import peers, statements, structure
from app.analysis.accounts import Account, State, by_end, by_start
from app.analysis.answers import Answer
from app.analysis.peers import Peer
from app.analysis.steps import is_bad
from app.traces import semconv
from app.traces.model import Span, SpanKind


def settle_retries(account: Account) -> None:
    """Mark each refusal or failure that a later success of the same kind made good."""
    steps = account.inner
    if len(steps) < 2 or not any(is_bad(step) for step in steps):
        return
    acts = _Batches(account)
    good: dict[tuple[object, ...], list[Account]] = {}
    for step in steps:
        if not is_bad(step) and (step.state in (State.FINE, State.ALLOW) or (step.state is State.MUTE and step.is_call)):
            for key in _makes_good(step):
                good.setdefault(key, []).append(step)
    for step in steps:
        if is_bad(step):
            if acts.holds(step):
                continue
            found = (_first_from(good.get(key, ()), step.end - 1) for key in _made_good_by(step))
            step.resolved_by = min((one for one in found if one is not None), key=by_start, default=None)


class _Batches:
    """Calls that a hop makes once for each of many things: alike to the eye, and none of them an attempt at another."""

    def __init__(self, account: Account) -> None:
        self._many = semconv.http_status(account.node.span) == 207
        self._good: dict[tuple[str, ...], int] = {}  # the end of the first success
        for step in account.inner:
            if _changes(step) and step.state in (State.FINE, State.ALLOW) and not is_bad(step):
                target = _asked(step)
                self._good[target] = min(step.end, self._good.get(target, step.end))
        self._logins = [s.start for s in account.inner if s.is_call and s.called is Peer.IDENTITY]

    def holds(self, step: Account) -> bool:
        """Whether a refused change is one of many: the same was done before it, or the answer is that of a batch."""
        if not _changes(step) or _is_retry(step) or step.state is not State.DENY:
            return False
        if any(start >= step.end for start in self._logins):
            return False  # a new token was fetched after the refusal, to try once more
        return (self._many and not step.is_store_call) or self._good.get(_asked(step), step.start + 1) <= step.start


def _changes(step: Account) -> bool:
    if step.kind != SpanKind.CLIENT:
        return False
    return step.is_store_call or semconv.method(step.node.span) in ("POST", "PUT", "PATCH", "DELETE")


def _asked(step: Account) -> tuple[str, ...]:
    return (_statement(step),) if step.is_store_call else structure.call_target(step.node)


def _first_from(steps: Sequence[Account], moment: int) -> Account | None:
    place = bisect_left(steps, moment, key=lambda step: step.start)
    return steps[place] if place < len(steps) else None


def _makes_good(step: Account) -> Iterator[tuple[object, ...]]:
    """What a success is an answer to."""
    span = step.node.span
    if step.check and step.state is State.ALLOW and step.signal is not None:
        phase = statements.phase(step.signal)
        yield "a check that passed", ""
        yield "a check of", phase
        if resource := _resource(step):
            yield "a check of", phase, span.name, resource
        if _is_retry(step):
            yield "a retry of", phase, span.name
    if step.is_call and (step.answer in (Answer.OK, Answer.REDIRECT) or step.state is State.ALLOW):
        yield "a call to", structure.call_target(step.node)
        if _is_retry(step):
            yield "a resend to", semconv.peer(span)
    if step.is_store_call and (text := _statement(step)):
        yield "a statement", text
    if step.kind == SpanKind.SERVER:
        yield "served", step.node.service, semconv.method(span), semconv.path(span)


def _statement(step: Account) -> str:
    """What was asked of a store, word for word."""
    span = step.node.span
    return semconv.first_text(span.attributes, semconv.ALIASES["db.query"])[:4096]


def _made_good_by(step: Account) -> Iterator[tuple[object, ...]]:
    """What would make a refusal or failure good."""
    span = step.node.span
    if step.signal is not None and step.check:
        phase = statements.phase(step.signal)
        if phase == "authn" and step.signal.says != "guard":
            yield "a check of", phase  # of a chain of authenticators the last counts
            return
        yield "a retry of", phase, span.name
        if resource := _resource(step):
            yield "a check of", phase, span.name, resource
    elif step.is_call:
        yield "a call to", structure.call_target(step.node)
        yield "a resend to", semconv.peer(span)
        if step.is_store_call and (text := _statement(step)):
            yield "a statement", text
        if step.state is State.BROKEN and step.called in (Peer.POLICY, Peer.IDENTITY, Peer.KEYS):
            yield "a check that passed", ""
    elif step.kind == SpanKind.SERVER:
        yield "served", step.node.service, semconv.method(span), semconv.path(span)


def _resource(step: Account) -> str:
    return semconv.first_text(
        step.node.span.attributes,
        ("auth.resource", "authz.resource", "auth.permission", "authz.action", "auth.action", "authz.permission", "object"),
    )


def _is_retry(step: Account) -> bool:
    count = semconv.number(semconv.first(step.node.span.attributes, semconv.RESEND_COUNT))
    return count is not None and count > 0


def choose(refusals: list[Account], broken: list[Account]) -> Account | None:
    """The refusal that counts: the last; of equal ones in a batch the first; of attempts at one thing the last."""
    if not refusals and not broken:
        return None
    last = max((*refusals, *broken), key=by_end)
    if last in broken or last.state is State.SILENT:
        return last
    equal = [r for r in refusals if _equal(r, last)]
    if len(equal) < 2:
        return last
    if _attempts(equal):
        return last
    best = max(weight(r) for r in equal)
    return min((r for r in equal if weight(r) == best), key=by_start)


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
            semconv.method(x) == semconv.method(y) and (semconv.route(x) or shape(x)) == (semconv.route(y) or shape(y))
        )
    return x.name == y.name and not _differ(a, b)


def _differ(a: Account, b: Account) -> bool:
    """Whether two checks of one name asked different things: other words for why, of something else."""
    why = [_worn(statements.reason_text(step.reading, step.node, step.signal)) for step in (a, b)]
    if not all(why) or why[0] == why[1]:
        return False
    things = [_worn(_resource(step)) for step in (a, b)]
    return not all(things) or things[0] != things[1]


def _worn(text: str) -> str:
    """Words with numbers and ids made alike."""
    return " ".join("*" if any(c.isdigit() for c in word) else word for word in text[:256].replace("/", " / ").split())


def shape(span: Span) -> str:
    """A path with its numbers and ids made alike."""
    pieces = semconv.path(span).split("/")
    return "/".join("*" if any(c.isdigit() for c in piece) else piece for piece in pieces) or peers.rpc_name(span)


def _attempts(equal: list[Account]) -> bool:
    """Whether equal refusals were tries at one thing, one after the other, rather than a batch."""
    if not all(step.is_call for step in equal):
        return False
    targets = {structure.call_target(step.node) for step in equal}
    if len(targets) > 1:
        return False
    ordered = sorted(equal, key=by_start)
    return all(a.end <= b.start for a, b in pairwise(ordered))


def weight(step: Account) -> int:
    """How good the step's proof is, to choose between two spans of one statement."""
    if step.signal is None:
        return 0
    return {"explicit": 3, "code": 3, "structure": 2, "protocol": 1, "words": 1}[step.signal.evidence]
