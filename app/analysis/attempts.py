"""Several refusals: tries at one thing, a batch of questions, or one check after another; and which of them counts.

Source: docs/method.md, "Which of several".
"""

from __future__ import annotations

from itertools import pairwise

from app.analysis import peers, statements, structure
from app.analysis.accounts import Account, State, by_end, by_start
from app.analysis.answers import Answer
from app.analysis.peers import Peer
from app.analysis.steps import is_bad
from app.traces import semconv
from app.traces.model import SpanKind


def settle_retries(account: Account) -> None:
    """Mark each refusal or failure that a later success of the same kind made good."""
    steps = account.inner
    if len(steps) < 2:
        return
    bad = [s for s in steps if is_bad(s)]
    if not bad:
        return
    good = [s for s in steps if not is_bad(s) and s.state in (State.FINE, State.ALLOW)]
    # A probe's several answers are no attempts; see _is_probe.
    for step in bad:
        step.resolved_by = next((g for g in good if g.start >= step.end - 1 and _same_attempt(step, g)), None)


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
    best = max(_weight(r) for r in equal)
    return min((r for r in equal if _weight(r) == best), key=by_start)


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
    return x.name == y.name


def shape(span: object) -> str:
    """A path with its numbers and ids made alike."""
    pieces = semconv.path(span).split("/")  # type: ignore[arg-type]
    return "/".join("*" if any(c.isdigit() for c in piece) else piece for piece in pieces) or peers.rpc_name(span)  # type: ignore[arg-type]


def equal_call(a: Account, b: Account) -> bool:
    x, y = a.node.span, b.node.span
    return semconv.peer(x) == semconv.peer(y) and semconv.method(x) == semconv.method(y) and shape(x) == shape(y)


def _attempts(equal: list[Account]) -> bool:
    """Whether equal refusals were tries at one thing, one after the other, rather than a batch."""
    if not all(step.is_call for step in equal):
        return False
    targets = {structure.call_target(step.node) for step in equal}
    if len(targets) > 1:
        return False
    ordered = sorted(equal, key=by_start)
    return all(a.end <= b.start for a, b in pairwise(ordered))


def _weight(step: Account) -> int:
    """How good the step's proof is, to choose between two spans of one statement."""
    if step.signal is None:
        return 0
    return {"explicit": 3, "code": 3, "structure": 2, "protocol": 1, "words": 1}[step.signal.evidence]
