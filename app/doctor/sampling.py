"""What was kept as traces, against what was counted: sampling may drop the ordinary, never a refusal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor.facts import Facts, Loss, Missing, Pipeline
from app.doctor.finding import MOST_EVIDENCE, Area, Finding, Off, Severity, Unknown, anchor
from app.doctor.pipeline import no_collector

_FEW = 3
_KEPT = 0.95  # of the refusals; the rest is what edges of windows and restarts do to counts

_KEEP_REFUSALS = """\
processors:
  tail_sampling:
    decision_wait: 15s
    num_traces: 100000
    policies:
      - {name: auth-failure, type: string_attribute, string_attribute: {key: auth.result, values: [failure, error]}}
      - {name: failed, type: status_code, status_code: {status_codes: [ERROR]}}
      # the rest of the policies: deploy/collector/gateway.yaml"""
_ROOM = """\
processors:
  tail_sampling:
    num_traces: 200000   # twice the new traces per second times decision_wait, or more
    decision_wait: 15s"""

Said = Iterator[Finding | Unknown | Off]


def refusals_kept(check: str, facts: Facts) -> Said:
    """Is every refusal that was counted kept as a trace?"""
    if isinstance(facts.counted, Missing) or isinstance(facts.kept, Missing):
        missing = facts.counted if isinstance(facts.counted, Missing) else facts.kept
        assert isinstance(missing, Missing)
        yield Unknown(check, missing.why)
        return
    counted = {result: facts.counted.of(result) for result in ("failure", "error")}
    if not sum(counted.values()):
        if not sum(facts.counted.by.values()):
            yield Unknown(check, "Prometheus counted no auth checks in this window.")
        return
    services = sorted({service for service, _ in facts.counted.by})
    for service in services:
        expected = sum(facts.counted.of(result, service) for result in ("failure", "error"))
        stored = sum(facts.kept.of(result, service) for result in ("failure", "error"))
        lost = expected - stored
        if lost < _FEW or stored >= expected * _KEPT or lost <= facts.counted.slack:
            continue
        yield Finding(
            check=check,
            area=Area.SAMPLING,
            severity=Severity.BROKEN,
            subject=service,
            title=f"Refusals of {service} were counted and their traces are not kept.",
            detail="An alert on them leads to a list that lacks a part of the attack, or all of it."
            + (f" {facts.counted.about}" if facts.counted.about else ""),
            measured=f"{lost:,} of {expected:,} refused checks",
            remedy="Let the sampler keep every trace with a refusal, and sample nowhere before it.",
            paste=_KEEP_REFUSALS,
            paste_language="yaml",
            docs=anchor(check),
        )


def successes_kept(check: str, facts: Facts) -> Said:
    """What part of the passed checks can traces show?"""
    if isinstance(facts.counted, Missing) or isinstance(facts.kept, Missing):
        missing = facts.counted if isinstance(facts.counted, Missing) else facts.kept
        assert isinstance(missing, Missing)
        yield Unknown(check, missing.why)
        return
    counted, kept = facts.counted.of("success"), facts.kept.of("success")
    if counted < 20:
        yield Unknown(check, f"Prometheus counted {counted:,} passed checks in this window: too few to tell.")
        return
    if kept >= counted * _KEPT or counted - kept <= facts.counted.slack:
        return
    severity = Severity.WEAK if not kept else Severity.NOTE
    yield Finding(
        check=check,
        area=Area.SAMPLING,
        severity=severity,
        subject="passed checks",
        title="None of the passed checks is kept as a trace."
        if not kept
        else f"{kept / counted:.0%} of the passed checks are kept as traces.",
        detail="What an attacker did after getting in is seen to that part only; the counts in Prometheus are whole.",
        measured=f"{kept:,} of {counted:,} passed checks",
        remedy="Raise sampling_percentage of the policy auth-success where you can store more.",
        paste="- name: ten-percent\n  type: probabilistic\n  probabilistic: {sampling_percentage: 25}",
        paste_language="yaml",
        docs=anchor(check),
    )


def exemplars(check: str, facts: Facts) -> Said:
    """Do the traces that metrics name as examples of refusals exist?"""
    if isinstance(facts.refused, Missing):
        yield Unknown(check, facts.refused.why)
        return
    gone = facts.refused.gone
    if not gone:
        return
    yield Finding(
        check=check,
        area=Area.SAMPLING,
        severity=Severity.BROKEN if len(gone) > facts.refused.asked / 2 and len(gone) >= _FEW else Severity.HARMFUL,
        subject="exemplars",
        title="Metrics name refused requests whose traces are gone.",
        detail="The click from an alert to its trace ends at nothing.",
        measured=f"{len(gone):,} of {facts.refused.asked:,} exemplars of refusals",
        evidence=gone[:MOST_EVIDENCE],
        remedy="Let the sampler keep every trace with a refusal, and Tempo keep traces as long as alerts are looked into.",
        paste=_KEEP_REFUSALS,
        paste_language="yaml",
        docs=anchor(check),
    )


_TAIL = {
    "sampling_trace_dropped_too_early": (
        Severity.BROKEN,
        "drops traces before it has looked at them",
        "More traces are under way than num_traces allows, so that refusals are lost with the rest.",
        "Raise num_traces, or add memory.",
        _ROOM,
    ),
    "sampling_policy_evaluation_error": (
        Severity.HARMFUL,
        "has a sampling policy that fails",
        "Traces are judged without it. Where it keeps refusals, they are lost.",
        "Correct the policy; the Collector's log names the error.",
        _KEEP_REFUSALS,
    ),
    "sampling_late_span_age_count": (
        Severity.WEAK,
        "gets spans after it has decided on their trace",
        "A refusal that arrives after its trace was dropped is lost.",
        "Raise decision_wait above the longest request and the delay of the SDKs together.",
        _ROOM,
    ),
}


def tail(check: str, facts: Facts) -> Said:
    """Does the tail sampler see whole traces in time?"""
    if isinstance(facts.pipeline, Missing):
        yield Unknown(check, facts.pipeline.why)
        return
    if not facts.pipeline.collectors:
        yield no_collector(check, facts.pipeline)
        return
    for loss in facts.pipeline.losses:
        known = _TAIL.get(loss.counter)
        if known is None or (loss.counter == "sampling_late_span_age_count" and not _often(loss, facts.pipeline)):
            continue
        severity, what, detail, remedy, paste = known
        at = f" ({loss.at})" if loss.at else ""
        yield Finding(
            check=check,
            area=Area.SAMPLING,
            severity=severity,
            subject=f"Collector {loss.instance}{at}",
            title=f"The Collector {loss.instance} {what}.",
            detail=detail,
            measured=f"{loss.count:,} times in the window",
            remedy=remedy,
            paste=paste,
            paste_language="yaml",
            docs=anchor(check),
        )


def _often(loss: Loss, pipeline: Pipeline) -> bool:
    """Whether late spans are more than what every pipeline has: a hundredth of the spans."""
    return bool(pipeline.accepted) and loss.count > (pipeline.accepted or 0) * 0.01
