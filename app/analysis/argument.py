"""The argument for a verdict: its steps in order, one plain sentence, and what would change it."""

from __future__ import annotations

from app.analysis import answers, statements, wording
from app.analysis.accounts import Account, State, Tolerated, Way
from app.analysis.confidence import Sureness
from app.analysis.judge import Judgement
from app.analysis.naming import Named
from app.analysis.signals import Signal
from app.analysis.verdict import Ground, Layer, Outcome
from app.analysis.wording import short
from app.traces import semconv
from app.traces.model import Node, SpanKind

_MOST_SAID = 12


def make(judgement: Judgement, named: Named | None, sureness: Sureness, conflicts: tuple[str, ...]) -> tuple[Ground, ...]:
    """The grounds of the verdict, the decision itself first."""
    out: list[Ground] = []
    out.extend(_decision(judgement, named))
    out.extend(_enforcement(judgement))
    out.extend(_outcome(judgement))
    out.extend(_checks(judgement))
    out.extend(_ruled_out(judgement))
    out.extend(Ground(sentence, role="conflict") for sentence in conflicts)
    out.extend(Ground(sentence, role="gap") for sentence in sureness.lowered_by if sentence not in conflicts)
    for node, hit in judgement.said.dry_runs[:4]:
        out.append(
            Ground(
                f"{node.service} says what {hit.rule.system} would have decided; a dry run does not count.",
                role="ruled_out",
                span_id=node.span.span_id,
                rule=hit.rule.id,
            )
        )
    if judgement.said.forged:
        node = judgement.said.forged[0]
        sentence = f"auth.* on {len(judgement.said.forged)} span(s) was set by the client or copied alike; it is no evidence."
        out.append(Ground(sentence, role="ruled_out", span_id=node.span.span_id))
    return tuple(out)


def _decision(judgement: Judgement, named: Named | None) -> list[Ground]:
    origin, node = judgement.origin, judgement.node
    if origin is None or node is None:
        return []
    if judgement.outcome is Outcome.INCONCLUSIVE:
        return _open_question(judgement, origin)
    assert named is not None
    span, title = origin.node.span, wording.span(origin.node)
    value = short(named.value)
    rested = _fact(named.attribute, named.value)
    if judgement.outcome is Outcome.ERROR:
        sentence = f"{named.service} failed here: {rested}{title}."
    elif origin.spoke is not None and origin.spoke.decision == "unknown":
        system = origin.spoke.rule.system
        sentence = f"{system} was asked by {title}; its answer is not recorded, and the refusal followed at once."
    elif origin.way is Way.OWN:
        sentence = f"{named.service} answered {rested}{title}, and had called nobody who could have refused."
    elif origin.way is Way.GUARD or (origin.check and origin.spoke is None):
        sentence = f"{title} is the last span before the refusal, and its name says that it guards."
    elif span.kind is SpanKind.CLIENT and origin.spoke is None:
        callee = wording.sentence(wording.decider(named.layer, "the callee", named.target))
        sentence = f"{callee} answered {rested}{title}, and sent no span of its own."
    else:
        sentence = f"{named.service} decided: {rested}{title}."
    out = [Ground(sentence, "origin", node.span.span_id, named.attribute, value, named.rule)]
    if named.reason_attribute and named.reason:
        reason = short(named.reason)
        sentence = f"It says why: {wording.fact(named.reason_attribute, named.reason)}."
        out.append(Ground(sentence, "origin", origin.node.span.span_id, named.reason_attribute, reason, named.rule))
    if origin.decider is not None:
        sentence = f"The result stands on the span of the one who asked, {title} of {origin.node.service}."
        out.append(Ground(sentence, "context", origin.node.span.span_id))
    return out


def _open_question(judgement: Judgement, origin: Account) -> list[Ground]:
    status = answers.shown_status(origin.node.span)
    sentence = f"{origin.node.service} answered {status} on {wording.span(origin.node)}, and no span shows who decided that."
    out = [Ground(sentence, "origin", origin.node.span.span_id, *(statements.ground(judgement.reading, origin.node, None)))]
    for call in origin.opaque[-3:]:
        peer = wording.peer(call.node) or call.node.service
        answered = answers.shown_status(call.node.span)
        words = f"answered {answered}, which may hide a no" if answered else "left no status"
        out.append(Ground(f"Before that it asked {peer}, which {words}.", "gap", call.node.span.span_id))
    if origin.way is Way.INTERMEDIARY:
        sentence = "The callee's own span shows a good answer, so something between the two refused, and it sends no spans."
        out.append(Ground(sentence, "gap", origin.node.span.span_id))
    return out


def _enforcement(judgement: Judgement) -> list[Ground]:
    out: list[Ground] = []
    enforcer, node = judgement.enforcer, judgement.node
    if enforcer is None or node is None or not judgement.refused:
        return out
    if enforcer is not node:
        key, value = statements.ground(judgement.reading, enforcer, None)
        status = answers.shown_status(enforcer.span)
        if judgement.outcome is Outcome.DENIED and status is not None:
            sentence = f"{enforcer.service} enforced it: {wording.fact(key, value)} on {wording.span(enforcer)}."
            out.append(Ground(sentence, "enforcement", enforcer.span.span_id, key, short(value)))
    for hop in list(reversed(judgement.relays))[:_MOST_SAID]:
        key, value = statements.ground(judgement.reading, hop, None)
        sentence = f"{hop.service} passed it on: {wording.fact(key, value)} on {wording.span(hop)}."
        out.append(Ground(sentence, "relay", hop.span.span_id, key, short(value)))
    more = len(judgement.relays) - _MOST_SAID
    if more > 0:
        out.append(Ground(f"{more} further hops, up to the entry, passed it on as well.", "relay"))
    return out


def _outcome(judgement: Judgement) -> list[Ground]:
    """What the client saw, and for a tolerated refusal what went on."""
    out: list[Ground] = []
    entry = judgement.entry
    item = judgement.item
    if item is not None and item.kind is Tolerated.BYPASSED:
        for step in item.after[:3]:
            sentence = f"After the refusal {step.node.service} ran {wording.span(step.node)} all the same."
            out.append(Ground(sentence, "context", step.node.span.span_id))
    elif item is not None:
        sentence = f"{item.by.node.service} went on without it and answered well: a branch was refused, not the request."
        out.append(Ground(sentence, "context", item.by.node.span.span_id))
    if judgement.consumer is not None:
        sentence = f"The request had been accepted; {judgement.consumer.node.service} refused the work later."
        out.append(Ground(sentence, "context", judgement.consumer.node.span.span_id))
    for opened in judgement.items(Tolerated.FAIL_OPEN)[:3]:
        node = opened.account.chain()[-1].node
        sentence = wording.sentence(f"{wording.call(node)} broke, and {opened.by.node.service} went on.")
        out.append(Ground(sentence, "context", node.span.span_id))
    for retried in judgement.items(Tolerated.RETRIED)[:3]:
        node = retried.account.chain()[-1].node
        sentence = f"The refusal on {wording.span(node)} of {node.service} was followed by an attempt that passed."
        out.append(Ground(sentence, "ruled_out", node.span.span_id))
    for waived in judgement.items(Tolerated.OPTIONAL)[:3]:
        node = waived.account.chain()[-1].node
        sentence = f"{wording.span(node)} of {node.service} knew nobody, and the request could go on without a person."
        out.append(Ground(sentence, "ruled_out", node.span.span_id))
    status = answers.shown_status(entry.span)
    if status is not None and judgement.outcome not in (Outcome.NO_AUTH_EVIDENCE,) and entry is not judgement.node:
        key, value = statements.ground(judgement.reading, entry, None)
        out.append(Ground(f"The client saw {status} from {entry.service}.", "context", entry.span.span_id, key, value))
    if judgement.outcome is Outcome.NO_AUTH_EVIDENCE:
        out.append(Ground("No span of this trace speaks of authentication or authorization.", "context", entry.span.span_id))
    return out


def _checks(judgement: Judgement) -> list[Ground]:
    """The checks that passed."""
    passed = [s for s in judgement.reading.signals.values() if s.decision == "allow" and s.says != "fetch"]
    passed.sort(key=lambda s: (s.node.start_ns, s.node.index))
    out: list[Ground] = []
    seen = set()
    for signal in passed:
        key = (signal.node.service, signal.rule.id, signal.node.span.name)
        if key in seen or len(out) >= _MOST_SAID:
            continue
        seen.add(key)
        attribute, value = statements.ground(judgement.reading, signal.node, signal)
        sentence = f"{signal.node.service} had let it pass: {_fact(attribute, value)}{wording.span(signal.node)}."
        out.append(Ground(sentence, "context", signal.node.span.span_id, attribute, short(value), signal.rule.id))
    return out


def _fact(attribute: str, value: str) -> str:
    return "" if attribute in ("span.name", "event") else f"{wording.fact(attribute, value)} on "


def _ruled_out(judgement: Judgement) -> list[Ground]:
    """Other refusals of the trace, and why they are not the origin."""
    chain = {a.node.index for a in judgement.chain}
    if not chain:
        return []
    denies: list[Signal] = [s for s in judgement.reading.signals.values() if s.decision == "deny" and s.node.index not in chain]
    # A guard known by its place alone refused nobody where others were asked after it.
    denies = [s for s in denies if judgement.ledger.of(s.node).state is not State.ALLOW]
    denies.sort(key=lambda s: (s.node.start_ns, s.node.index))
    out = []
    for signal in denies[:3]:
        account = judgement.ledger.of(signal.node)
        why = "a later attempt passed" if account.resolved_by is not None else "it does not lie on the refusal's path"
        sentence = f"Not the origin: {wording.span(signal.node)} of {signal.node.service} refused as well, but {why}."
        out.append(Ground(sentence, "ruled_out", signal.node.span.span_id, rule=signal.rule.id))
    return out


# ------------------------------------------------------------------------------------------------------- one sentence


def sentence(judgement: Judgement, named: Named | None, principal: str | None) -> str:
    """The verdict in one plain sentence."""
    who = principal or "the request"
    outcome = judgement.outcome
    if outcome is Outcome.NO_AUTH_EVIDENCE:
        return "Nothing in this trace speaks of authentication or authorization."
    if outcome is Outcome.ALLOWED:
        opened = judgement.items(Tolerated.FAIL_OPEN)
        if opened:
            node = opened[0].account.chain()[-1].node
            return f"{opened[0].by.node.service} let {who} through although {wording.call(node)} broke."
        if judgement.items(Tolerated.RETRIED):
            return f"{who} was refused at first, tried again, and was let through."
        return f"{who} was let through; every check that can be seen passed."
    if outcome is Outcome.INCONCLUSIVE:
        origin = judgement.origin
        service = origin.node.service if origin is not None else judgement.entry.service
        asked = wording.peer(origin.opaque[-1].node) if origin is not None and origin.opaque else ""
        by = f"{service} or {asked}" if asked else service
        return f"{by} refused {who}: the span that would tell is missing."
    assert named is not None
    reason = short(" ".join(named.reason.split())).rstrip(".")
    if outcome is Outcome.ERROR:
        closed = _failed_closed(judgement)
        end = f"; {closed.service} failed closed. Nobody refused." if closed is not None else ". Nobody refused."
        return wording.sentence(f"{_broken(judgement, named)} broke: {reason}{end}")
    decider = wording.decider(named.layer, named.service, named.target)
    if named.layer is Layer.DATABASE and named.target:
        who = f"{named.service} for {principal}" if principal else named.service
    first = wording.sentence(f"{decider} refused {who}: {reason}")
    if outcome is Outcome.BYPASSED and judgement.item is not None:
        return f"{first}. {judgement.item.by.node.service} went on all the same."
    if outcome is Outcome.PARTIALLY_DENIED:
        if judgement.consumer is not None:
            return f"{first}. The request had been accepted before."
        return f"{first}. The rest of the request went on."
    return first


def _broken(judgement: Judgement, named: Named) -> str:
    """What broke: the call, where it was one, else the service."""
    origin = judgement.origin
    if origin is not None and origin.kind is SpanKind.CLIENT:
        return wording.call(origin.node)
    return wording.decider(named.layer, named.service, named.target)


def _failed_closed(judgement: Judgement) -> Node | None:
    """The hop that made a refusal of the failure: the innermost of those that refused, if the client was refused at all."""
    reading = judgement.reading
    if reading.answer(judgement.entry) not in answers.REFUSALS:
        return None
    closed = (a.node for a in reversed(judgement.chain) if a.is_hop and reading.answer(a.node) in answers.REFUSALS)
    return next(closed, judgement.entry)


def settles(judgement: Judgement, named: Named | None, sureness: Sureness) -> tuple[str, ...]:
    """What would change this verdict, or settle it."""
    out = []
    origin = judgement.origin
    if judgement.outcome is Outcome.INCONCLUSIVE and origin is not None:
        for call in origin.opaque[-3:]:
            peer = wording.peer(call.node) or call.node.service
            if not any(kid.span.kind is SpanKind.SERVER for kid in judgement.reading.kids(call.node)):
                out.append(f"The server span of {peer} for this call, or its log lines: they would show what it answered.")
            else:
                out.append(f"A result attribute on the span of {peer}, such as authz.decision: its answer is not recorded.")
        if not origin.opaque:
            out.append(f"The spans that are missing below {origin.node.service}, or its log lines for this trace.")
        out.append(f"A result attribute on a check of {origin.node.service}, such as auth.result.")
    if origin is not None and named is not None:
        if any(a.way is Way.ENGINE for a in judgement.chain):
            out.append("The engine's decision log for this request: it records the answer that the span leaves out.")
        elif named.evidence == "protocol":
            asker = wording.decider(named.layer, named.service, named.target)
            out.append(f"A result attribute or log line of {asker} that says why it answered so.")
        elif named.evidence == "structure":
            out.append(f"A reason recorded by {named.service}: that this span refused is read from its place alone.")
        elif named.evidence == "words":
            out.append("An error code beside the words.")
        if origin.state is State.BROKEN and origin.kind is SpanKind.CLIENT:
            peer = wording.peer(origin.node)
            if peer:
                out.append(f"The logs of {peer} at that moment: whether it saw the call at all.")
    if sureness.gaps:
        out.append("The spans that are missing on the way; reading the trace again later may bring them.")
    if judgement.outcome is Outcome.NO_AUTH_EVIDENCE:
        out.append("Any result attribute of a check, such as auth.result, on the services of this route.")
    return tuple(dict.fromkeys(out))


def conflicts(judgement: Judgement, named: Named | None) -> tuple[str, ...]:
    """Where evidence disagrees: an explicit allow below a hop that refused by its status alone, and the like."""
    out = [account.conflict for account in judgement.chain if account.conflict]
    origin = judgement.origin
    if origin is None or named is None or not judgement.refused:
        return tuple(out)
    if origin.spoke is not None and origin.spoke.against:
        key = origin.spoke.against
        fact = wording.fact(key, semconv.text(origin.node.span.attributes.get(key)))
        out.append(f"The same span says the opposite: {fact}.")
    if origin.signal is not None and origin.spoke is None and origin.is_hop:
        out.append(f"{origin.node.service} says on {wording.span(origin.node)} that it allowed, and answered a refusal.")
    elif named.evidence == "protocol" and origin.way is Way.OWN:
        for step in origin.inner:
            if step.signal is not None and step.state is State.ALLOW and step.check and step.signal.phase == named.phase:
                passed = f"{wording.span(step.node)} of {step.node.service}"
                out.append(f"{passed} had let it pass, and {named.service} refused all the same.")
                break
    return tuple(out)
