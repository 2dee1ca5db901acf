"""Requests: which of the steps below explains what a SERVER or CONSUMER span answered.

Source: docs/method.md, "How a refusal is traced".
"""

from __future__ import annotations

import re2

from app.analysis import reasons, statements
from app.analysis.accounts import Account, State, Way, because, by_end, by_start, explain, gathered, live
from app.analysis.answers import REFUSALS, Answer, asks_who
from app.analysis.attempts import choose
from app.analysis.peers import Peer
from app.analysis.steps import (
    explains_refusal,
    is_business,
    is_by_place,
    is_guard_name,
    is_guarding,
    is_limiter_name,
    last_guard,
    may_refuse,
    refuses_in_error,
    throttles,
)
from app.analysis.tolerance import tolerate
from app.traces.model import SpanKind


def of_request(account: Account) -> None:
    """A SERVER, CONSUMER or root span, or an inner span in error: what below it explains its answer."""
    answer = account.answer
    steps = live(account)
    account.items = gathered(account)
    if account.kind == SpanKind.INTERNAL and not account.is_hop:
        _fault(account, steps)
    elif answer in REFUSALS:
        _refused(account, steps)
    elif answer is Answer.FAILED or answer is Answer.CANCELLED:
        _failed(account, steps)
    elif answer is Answer.MISSING or answer is Answer.BUSINESS or answer is Answer.REDIRECT:
        _business(account, steps)
    else:
        tolerate(account)


def _fault(account: Account, steps: list[Account]) -> None:
    """An inner span in error: the failure or refusal below it that it passes on, else its own."""
    account.state = State.BROKEN
    bad = [s for s in steps if s.resolved_by is None and (s.state in (State.DENY, State.BROKEN, State.SILENT))]
    if bad:
        last = max(bad, key=by_end)
        account.state = last.state
        account.cause = last


def _refused(account: Account, steps: list[Account]) -> None:
    """401, 403 and their like: the last refusal or broken check before it, else the hop itself or nobody that is seen."""
    account.state = State.DENY
    open_ = [s for s in steps if s.resolved_by is None]
    _let_pass(open_)
    # A hop below that failed closed refused as well; what broke is then found further down.
    refusals = [
        s for s in open_ if explains_refusal(s) or s.state is State.SILENT or (s.state is State.BROKEN and s.answer in REFUSALS)
    ]
    if account.answer is Answer.THROTTLED:
        refusals = [s for s in refusals if throttles(s) or is_by_place(s)]
    refused_at = min((r.end for r in refusals if r.check or r.explicit or r.called is Peer.POLICY), default=None)
    # A failure after a check's refusal is its consequence.
    broken = [s for s in open_ if s.state is State.BROKEN and is_guarding(s) and (refused_at is None or s.start < refused_at)]
    found = choose(refusals, broken)
    if found is not None and found.state is State.DENY and found.check and broken and _names_dependency(found):
        found = max(broken, key=by_end)  # the check tells of the failure beside it
    if found is not None:
        explain(account, found)
        return
    if account.answer is Answer.THROTTLED:
        limiter = last_guard(account)
        if limiter is not None and is_limiter_name(limiter.node.span.name):
            account.cause, account.way = limiter, Way.GUARD
        else:
            account.way = Way.OWN
        return
    asked = _unrecorded(open_)
    if asked is not None and _tells_who(asked) and asks_who(account.node.span) is False:
        asked = None  # who it was is one question, whether they may another
    guard = last_guard(account)
    if asked is not None and (guard is None or guard.start < asked.end):
        because(account, asked, Way.ENGINE)
        return
    if guard is not None:
        final = open_[-1] if open_ else None
        if final is not None and final.state is State.BROKEN and guard.node in account.reading.ancestors(final.node):
            explain(account, final)  # what the guard needed did not answer
            account.way = Way.LAST_FAILURE
            return
        account.cause, account.way = guard, Way.GUARD
        return
    # What is left: a call that failed last, calls that may have said no, or nobody but the hop itself.
    calls = [s for s in open_ if may_refuse(s)]
    last = calls[-1] if calls else None
    failed = [s for s in open_ if s.state is State.BROKEN and (s.is_call or s.kind == SpanKind.INTERNAL)]
    if failed and (last is None or max(failed, key=by_end).end >= last.end) and _ends_with(open_, max(failed, key=by_end)):
        final = max(failed, key=by_end)
        if refuses_in_error(final):
            final.state, final.check = State.DENY, True
            account.cause, account.way = final, Way.GUARD
            return
        explain(account, final)
        account.way = Way.LAST_FAILURE
        return
    if calls or _orphans_below(account):
        account.state = State.SILENT
        account.opaque = calls
        return
    if account.kind is not SpanKind.CLIENT:  # else the callee's own span is lost, and the call is all that is left of it
        account.way = Way.OWN


def _let_pass(steps: list[Account]) -> None:
    """Guards known by their place alone let the request pass where something was asked, done or broke after they had ended."""
    guards = [s for s in steps if is_by_place(s)]
    if not guards:
        return
    asked = (s.start for s in steps if s.state in (State.MUTE, State.BROKEN) or may_refuse(s) or is_business(s))
    last = max(asked, default=None)
    for guard in guards:
        if guard.state is State.DENY and guard.cause is None and last is not None and last >= guard.end:
            guard.state = State.ALLOW


def _names_dependency(step: Account) -> bool:
    """Whether the words of a refusal are those of something that had to be asked and did not answer."""
    known = reasons.of(statements.reason_text(step.reading, step.node, step.signal))
    return known is not None and known.code == "dependency_error"


def _tells_who(step: Account) -> bool:
    return step.signal is not None and step.signal.rule.layer == "identity_provider"


def _unrecorded(steps: list[Account]) -> Account | None:
    """The engine whose unrecorded answer was followed at once by the refusal: no other check and no call after it."""
    asked = [s for s in steps if s.state is State.MUTE]
    if not asked:
        return None
    last = asked[-1]
    for later in steps:
        if later.start < last.end:
            continue
        if later.check or may_refuse(later) or later.state is State.ALLOW:
            return None
    return last


def _ends_with(steps: list[Account], step: Account) -> bool:
    """Whether nothing but reads and sends came after the step."""
    return not any(s.start >= step.end and (s.check or may_refuse(s)) for s in steps if s is not step)


def _orphans_below(account: Account) -> bool:
    """Whether spans without a known parent were placed below: what they hung from may have refused."""
    reading, joined = account.reading, account.reading.joined
    if not joined:
        return False
    placed = (n for n in reading.subtree(account.node) if n.index in joined and n.lost_parent and n is not account.node)
    # What hangs below a call by a guess hung from the callee's own span; that one is accounted for.
    return any(reading.joined[n.index].span.kind is not SpanKind.CLIENT for n in placed)


def _failed(account: Account, steps: list[Account]) -> None:
    """5xx: a refusal that came out as an error, else the failure that explains it."""
    account.state = State.BROKEN
    open_ = [s for s in steps if s.resolved_by is None]
    refusals = [s for s in open_ if explains_refusal(s)]
    broken = _originals([s for s in open_ if s.state is State.BROKEN])
    if refusals:
        refusal = choose(refusals, [])
        assert refusal is not None
        broken = _independent(broken, refusal, open_)
        if not broken:
            explain(account, refusal)
            return
    if broken:
        calls = [b for b in broken if b.is_call]
        account.cause = max(calls or broken, key=by_end) if not _inner_last(broken) else max(broken, key=by_end)
        return
    silent = [s for s in open_ if s.state is State.SILENT]
    if silent:
        account.cause, account.state = silent[-1], State.SILENT


def _originals(broken: list[Account]) -> list[Account]:
    """The failures without those that only repeat the words of an earlier one: filters that an exception passes through."""
    if len(broken) < 2:
        return broken
    found, told = [], set()
    for step in sorted(broken, key=by_start):
        words = step.reading.trouble(step.node)
        if step.is_call or not words or words not in told:
            found.append(step)
        told.add(words)
    return found


def _inner_last(broken: list[Account]) -> bool:
    last = max(broken, key=by_end)
    # An inner failure at the time of a call's is its consequence, also where it does not stand above it.
    return last.kind == SpanKind.INTERNAL and not any(b.is_call and b.start <= last.end and last.start <= b.end for b in broken)


def _independent(broken: list[Account], refusal: Account, steps: list[Account]) -> list[Account]:
    """The failures that have a cause of their own, rather than being what a refusal led to.

    A call that failed afterwards has; an inner failure has where the request had gone on with its work in between.
    """
    resumed = [s for s in steps if s.start >= refusal.end and is_business(s)]
    sure = refusal.check or refusal.explicit
    work = min((s.end if sure else s.start for s in resumed), default=None)
    return [
        b
        for b in broken
        if b.end >= refusal.end and (b.start >= refusal.end if b.is_call else work is not None and work <= b.start)
    ]


def _business(account: Account, steps: list[Account]) -> None:
    """404, a redirect and other answers of the business: a refusal in other clothes where one came last, else an answer."""
    open_ = [s for s in steps if s.resolved_by is None]
    refusals = [s for s in open_ if explains_refusal(s)]
    if refusals:
        refusal = choose(refusals, [])
        assert refusal is not None
        later = [s for s in open_ if s.start >= refusal.end and s is not refusal]
        relayed = [s for s in later if s.answer is account.answer and s.is_call]
        if not relayed and not any(is_business(s) for s in later):
            explain(account, refusal)
            return
    if open_ and account.answer is Answer.MISSING and _hid_a_refusal(open_[-1]):
        guard = open_[-1]
        guard.state, guard.check = State.DENY, True
        account.state, account.cause, account.way = State.DENY, guard, Way.GUARD
        return
    silent = [s for s in open_ if s.state is State.SILENT]
    if silent and silent[-1] is open_[-1]:
        account.cause, account.state = silent[-1], State.SILENT
        return
    tolerate(account)


_NOT_FOUND = re2.compile(r"(?i)not.?found|no.?such|does.?not.?exist|missing|unknown")


def _hid_a_refusal(step: Account) -> bool:
    """Whether the last step before a 404 was a named guard that failed, and not because there was nothing to guard."""
    return (
        step.state is State.BROKEN
        and is_guard_name(step.node.span.name)
        and refuses_in_error(step)
        and _NOT_FOUND.search(step.reading.trouble(step.node)) is None
    )
