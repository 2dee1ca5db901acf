"""`examine(trace)`: from a repaired trace to its verdict, the front door of this package."""

from __future__ import annotations

from app.analysis import (
    aftermath,
    answers,
    argument,
    confidence,
    entities,
    findings,
    joins,
    layers,
    naming,
    reasons,
    secrets,
    signals,
)
from app.analysis.judge import Judgement, judge
from app.analysis.naming import Named
from app.analysis.reading import Context, Reading
from app.analysis.rulebook import RuleBook, shipped
from app.analysis.secrets import Redactor
from app.analysis.verdict import Finding, Ground, Place, SideEffect, Verdict
from app.traces import garbage
from app.traces.model import Node, Trace

__all__ = ["Context", "examine"]


def examine(trace: Trace, *, rules: RuleBook | None = None, context: Context | None = None) -> Verdict:
    """Judge a trace.

    Errors: none; what cannot be known lowers the confidence and is listed among the findings.
    """
    rules = rules if rules is not None else shipped()
    context = context if context is not None else Context()
    # The whole trace is held meanwhile: walking it again and again would find nothing to free.
    with garbage.left():
        reading = Reading(trace, context)
        joins.join(reading)
        reading.settle()
        said = signals.collect(reading, rules)
        judgement = judge(reading, said)
        named = naming.name(judgement, rules)
        found = secrets.scan(reading, addresses=context.client_address_is_pii)
        return _verdict(judgement, named, rules, found)


def _verdict(judgement: Judgement, named: Named | None, rules: RuleBook, found: secrets.Found) -> Verdict:
    clean = Redactor(found.texts)
    conflicts = argument.conflicts(judgement, named)
    sureness = confidence.weigh(judgement, named, conflicts)
    after = aftermath.look(judgement)
    principal = entities.principal(judgement)
    grounds = tuple(_clean_ground(g, clean) for g in argument.make(judgement, named, sureness, conflicts))
    if after.unlisted:
        grounds = (*grounds, Ground(f"{after.unlisted} further side effects are not listed."))
    reason = clean(named.reason) if named is not None else None
    known = reasons.of(named.reason) if named is not None else None
    return Verdict(
        trace_id=judgement.reading.trace.trace_id,
        outcome=judgement.outcome,
        layer=named.layer if named is not None else None,
        phase=named.phase if named is not None else None,
        service=named.service if named is not None else None,
        span_id=named.span_id if named is not None else None,
        rule=(named.rule or None) if named is not None else None,
        reason=reason,
        enforced_by=_place(judgement.enforcer) if named is not None and judgement.refused else None,
        entry=_place(judgement.entry),
        confidence=sureness.confidence,
        because=tuple(ground.sentence for ground in grounds),
        principal=clean(principal) if principal is not None else None,
        client_address=_clean_or_none(entities.client_address(judgement), clean),
        layers=tuple(layers.met(judgement, named, clean)),
        path=tuple(layers.path(judgement)),
        side_effects=tuple(_clean_effect(effect, clean) for effect in after.effects),
        findings=tuple(_clean_finding(f, clean) for f in findings.find(judgement, named, after, found)),
        sentence=clean(argument.sentence(judgement, named, principal)),
        reason_code=known.code if known is not None else None,
        meaning=known.means if known is not None else "",
        grounds=grounds,
        settles=tuple(clean(text) for text in argument.settles(judgement, named, sureness)),
    )


def _place(node: Node | None) -> Place | None:
    if node is None:
        return None
    return Place(node.service, node.span.span_id, answers.shown_status(node.span))


def _clean_or_none(text: str | None, clean: Redactor) -> str | None:
    return clean(text) if text is not None else None


def _clean_ground(ground: Ground, clean: Redactor) -> Ground:
    return Ground(
        clean(ground.sentence), ground.role, ground.span_id, clean(ground.attribute), clean(ground.value), ground.rule
    )


def _clean_effect(effect: SideEffect, clean: Redactor) -> SideEffect:
    return SideEffect(effect.service, effect.span_id, effect.kind, clean(effect.target), effect.when, effect.start_ns)


def _clean_finding(finding: Finding, clean: Redactor) -> Finding:
    return Finding(finding.kind, finding.service, finding.span_id, clean(finding.detail))
