"""Findings: everything else in a trace that is worth an investigator's eye."""

from __future__ import annotations

from collections.abc import Iterator

from app.analysis import answers, gaps, peers, wording
from app.analysis.accounts import Item, Tolerated
from app.analysis.aftermath import Aftermath
from app.analysis.answers import REFUSALS, Answer
from app.analysis.judge import Judgement
from app.analysis.naming import Named
from app.analysis.secrets import Found, Place
from app.analysis.verdict import Finding, FindingKind, Layer, Outcome, Phase
from app.times import SECOND, format_duration
from app.traces import semconv
from app.traces.model import Node, SpanKind

_MOST_EACH = 50


def find(judgement: Judgement, named: Named | None, aftermath: Aftermath, found: Found) -> list[Finding]:
    """All findings: what followed the decision first, then what hides it, then what is damaged."""
    out: list[Finding] = []
    out.extend(_aftermath(judgement, aftermath))
    out.extend(_open_and_closed(judgement, named))
    out.extend(_clothes(judgement, named))
    out.extend(_retried(judgement))
    out.extend(_relays(judgement))
    out.extend(gaps.find(judgement))
    out.extend(_slow(judgement))
    out.extend(_located(FindingKind.SECRET_IN_ATTRIBUTES, found.secrets, found.more_secrets, "A secret"))
    out.extend(_located(FindingKind.PII_IN_ATTRIBUTES, found.persons, found.more_persons, "Personal data"))
    return out


def _at(kind: FindingKind, node: Node, detail: str) -> Finding:
    return Finding(kind, node.service, node.span.span_id, detail)


def _aftermath(judgement: Judgement, aftermath: Aftermath) -> Iterator[Finding]:
    node = judgement.node
    for kind, nodes, word in ((FindingKind.SIDE_EFFECT_AFTER_DENIAL, aftermath.after, "after"),
                              (FindingKind.SIDE_EFFECT_BEFORE_DENIAL, aftermath.before, "before")):  # fmt: skip
        for effect in nodes[:_MOST_EACH]:
            distance = abs(effect.start_ns - node.end_ns) if node is not None else 0
            rest = "." if word == "after" else "; nothing in the trace takes it back."
            detail = f"{effect.service} ran {wording.span(effect)} {format_duration(distance)} {word} the refusal{rest}"
            yield _at(kind, effect, detail)


def _open_and_closed(judgement: Judgement, named: Named | None) -> Iterator[Finding]:
    """Checks that were not heeded, and checks that broke."""
    seen = set()
    for item in [*judgement.items(Tolerated.BYPASSED), *([judgement.item] if judgement.item is not None else [])]:
        if item.kind is Tolerated.BYPASSED and item.account.node.index not in seen:
            seen.add(item.account.node.index)
            origin = item.account.chain()[-1]
            detail = f"{origin.node.service} refused, and {item.by.node.service} went on all the same."
            yield _at(FindingKind.FAIL_OPEN, origin.node, detail)
    for item in _fail_open(judgement):
        origin = item.account.chain()[-1]
        detail = wording.sentence(f"{wording.call(origin.node)} broke, and {item.by.node.service} let the request through.")
        yield _at(FindingKind.FAIL_OPEN, origin.node, detail)
    if judgement.outcome is Outcome.ERROR and judgement.reading.answer(judgement.entry) in REFUSALS:
        node = judgement.node
        assert node is not None
        status = answers.shown_status(judgement.entry.span)
        detail = wording.sentence(f"{wording.call(node)} broke, and the client was refused ({status}) for it.")
        yield _at(FindingKind.FAIL_CLOSED, node, detail)


def _fail_open(judgement: Judgement) -> list[Item]:
    return judgement.items(Tolerated.FAIL_OPEN)[:_MOST_EACH]


def _clothes(judgement: Judgement, named: Named | None) -> Iterator[Finding]:
    """Refusals that the client saw as something else, and hops that turned one status into another."""
    if judgement.outcome is not Outcome.DENIED or named is None:
        return
    reading, entry = judgement.reading, judgement.entry
    answer = reading.answer(entry)
    status = answers.shown_status(entry.span)
    if answer in (Answer.MISSING, Answer.REDIRECT, Answer.LOGIN, Answer.OK) and entry.span.kind != SpanKind.CONSUMER:
        words = {
            Answer.MISSING: f"The client saw {status}, as if the thing did not exist.",
            Answer.OK: f"The client saw {status}; the refusal is in the body.",
        }.get(answer, f"The client was sent elsewhere ({status}) instead of being told.")
        grpc = semconv.grpc_status(entry.span)
        if not grpc or grpc == 5:
            yield _at(FindingKind.MASKED_DENIAL, entry, words)
    yield from _rewritten(judgement)


def _rewritten(judgement: Judgement) -> Iterator[Finding]:
    """Going up from the origin: each hop whose error is not the one it was given."""
    reading = judgement.reading
    origin, node = judgement.origin, judgement.node
    assert origin is not None
    assert node is not None
    given: int | None = None
    what = "refusal"
    for account in reversed(judgement.chain):
        if account.kind == SpanKind.CLIENT and given is None and account is origin:
            given = answers.comparable(account.node.span) if not account.is_store_call else None
            if account.signal is not None and account.signal.is_store and given in (None, 200, 400):
                given = None
            continue
        if account.kind not in (SpanKind.SERVER, SpanKind.CONSUMER):
            continue
        own = answers.comparable(account.node.span)
        if own is None:
            continue
        answer = reading.answer(account.node)
        if account is origin:
            if answer is Answer.FAILED and own >= 500:
                shown = answers.shown_status(account.node.span)
                said = f"{account.node.service} answered its own refusal with a {shown}."
                yield _at(FindingKind.STATUS_REWRITTEN, account.node, said)
            given = own if own >= 400 else None  # a good answer that carried a no has no status to keep
            continue
        is_error = answer in REFUSALS or answer in (Answer.FAILED, Answer.BUSINESS)
        if given is not None and given >= 400:
            if is_error and own != given and answer is not Answer.LOGIN:
                shown = answers.shown_status(account.node.span)
                yield _at(
                    FindingKind.STATUS_REWRITTEN, account.node, f"{account.node.service} turned a {given} into a {shown}."
                )
        elif given is None and is_error and answer not in REFUSALS and not _answers_login(account.node, answer):
            shown = answers.shown_status(account.node.span)
            what = "a database's refusal" if account.cause is not None and account.cause.is_store_call else "a refusal"
            yield _at(FindingKind.STATUS_REWRITTEN, account.node, f"{account.node.service} turned {what} into a {shown}.")
        if is_error or given is not None:
            given = own


def _answers_login(node: Node, answer: Answer) -> bool:
    """Token endpoints say no with 400 by their own specification."""
    return answer is Answer.BUSINESS and peers.is_login_path(semconv.path(node.span))


def _retried(judgement: Judgement) -> Iterator[Finding]:
    for item in judgement.items(Tolerated.RETRIED)[:_MOST_EACH]:
        origin = item.account.chain()[-1]
        if item.account.state == 3 and not item.account.check:  # a failed call that was tried again is no denial
            continue
        by = item.by.node.service
        yield _at(FindingKind.RETRIED, origin.node, f"{origin.node.service} refused at first; {by} tried again and it passed.")


def _relays(judgement: Judgement) -> Iterator[Finding]:
    if judgement.outcome not in (Outcome.DENIED, Outcome.ERROR):
        return
    seen = set()
    for hop in judgement.relays:
        if hop.service in seen:
            continue
        if judgement.outcome is Outcome.ERROR and judgement.reading.answer(hop) not in REFUSALS:
            continue  # what went through it was a failure and no refusal
        seen.add(hop.service)
        status = answers.shown_status(hop.span)
        shown = f" as {status}" if status is not None else ""
        yield _at(FindingKind.RELAYED_BY, hop, f"{hop.service} passed it on{shown}.")


# ------------------------------------------------------------------------------------------------------------ slowness


def _slow(judgement: Judgement) -> Iterator[Finding]:
    """Authentication that took most of a long request, outside of log-ins."""
    entry = judgement.entry
    whole = entry.duration_ns
    usual = judgement.reading.context.route_auth_ns
    if (
        whole <= 0
        or (whole < SECOND and usual is None)
        or peers.is_login_path(semconv.path(entry.span) or semconv.route(entry.span))
    ):
        return
    spans = _authentication(judgement)
    if not spans:
        return
    spent = _covered([(n.start_ns, n.end_ns) for n in spans], entry)
    slowest = max(spans, key=lambda n: (n.duration_ns, -n.index))
    if whole >= SECOND and spent * 2 > whole:
        detail = f"Authentication took {format_duration(spent)} of {format_duration(whole)}."
        yield _at(FindingKind.SLOW_AUTH, slowest, detail)
    elif usual is not None and usual > 0 and spent >= max(4 * usual, usual + SECOND // 5):
        detail = f"Authentication took {format_duration(spent)}; this route usually needs {format_duration(usual)}."
        yield _at(FindingKind.SLOW_AUTH, slowest, detail)


def _authentication(judgement: Judgement) -> list[Node]:
    """The spans of authentication below the entry: checks of identity, and calls to identity providers."""
    reading = judgement.reading
    found = []
    for signal in reading.signals.values():
        if signal.phase is Phase.AUTHN and signal.node is not judgement.entry and signal.rule.layer != Layer.DATABASE:
            found.append(signal.node)
    for node in reading.order[:20_000]:
        long = node.span.kind == SpanKind.CLIENT and node.duration_ns * 4 > judgement.entry.duration_ns
        if long and peers.of_call(node.span) in (peers.Peer.IDENTITY, peers.Peer.KEYS):
            found.append(node)
    return found


def _covered(spans: list[tuple[int, int]], entry: Node) -> int:
    """How much of the entry's time the spans cover together."""
    total, until = 0, entry.start_ns
    for start, end in sorted(spans):
        start, end = max(start, until), min(end, entry.end_ns)
        if end > start:
            total += end - start
            until = end
    return total


# ----------------------------------------------------------------------------------------------------------- locations


def _located(kind: FindingKind, places: list[Place], more: bool, what: str) -> Iterator[Finding]:
    """One finding per span and attribute, its value left out."""
    count = f"more than {len(places)}" if more else str(len(places))
    seen: set[tuple[str, str]] = set()
    for place in places:
        if (place.span_id, place.attribute) in seen or len(seen) >= _MOST_EACH:
            continue
        seen.add((place.span_id, place.attribute))
        rest = f" ({count} in the whole trace)" if len(places) > 1 and len(seen) == 1 else ""
        yield Finding(kind, place.service, place.span_id, f"{what} stands in {place.attribute[:120]}{rest}.")
