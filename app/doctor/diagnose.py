"""From the facts to the report: every check in turn, the findings in order, and the score with how it is made up. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.doctor import table
from app.doctor.checks import CHECKS, Check
from app.doctor.facts import Facts
from app.doctor.finding import SEVERITIES, Area, Finding, Off, Severity, Unknown
from app.doctor.report import CheckResult, Report, Score, ScorePart, State
from app.times import UnixNanos

# What is left of a check's points beside its worst finding. A note costs nothing.
_LEFT = {Severity.BROKEN: 0.0, Severity.HARMFUL: 0.4, Severity.WEAK: 0.8, Severity.NOTE: 1.0}
# The most that a house gets in which something is broken: the number may be all that somebody reads.
_WHILE_BROKEN = 50


def diagnose(facts: Facts, *, checked_ns: UnixNanos, took_ms: int, checks: Sequence[Check] = CHECKS) -> Report:
    """The report on what was measured."""
    told = [(check, list(check.look(check.id, facts))) for check in checks]
    # What does not apply has no part in the hundred points.
    scale = 100 / max(1, sum(check.points for check, said in told if not any(isinstance(one, Off) for one in said)))
    results = [_result(check, said, check.points * scale) for check, said in told]
    found = [one for _, said in told for one in said if isinstance(one, Finding)]
    order = list(Area)
    found.sort(key=lambda one: (SEVERITIES.index(one.severity), order.index(one.area), one.check, one.subject))
    return Report(
        start_ns=facts.start_ns,
        end_ns=facts.end_ns,
        checked_ns=checked_ns,
        took_ms=took_ms,
        score=score(results, broken=any(one.severity is Severity.BROKEN for one in found)),
        sample=facts.sample,
        connections=facts.connections,
        findings=tuple(found),
        checks=tuple(results),
        services=table.services(facts),
    )


def _result(check: Check, said: Sequence[Finding | Unknown | Off], of: float) -> CheckResult:
    """A check that could be made in part and found something has found something; what it could not see is said."""
    findings = [one for one in said if isinstance(one, Finding)]
    why = next((one.why for one in said if not isinstance(one, Finding)), "")
    of = round(of, 2)
    if any(isinstance(one, Off) for one in said):
        return CheckResult(check.id, check.area, check.asks, State.OFF, why)
    if findings:
        left = min(_LEFT[one.severity] for one in findings)
        return CheckResult(check.id, check.area, check.asks, State.FOUND, why, round(left * of, 2), of)
    if why:
        return CheckResult(check.id, check.area, check.asks, State.UNKNOWN, why, 0.0, of)
    return CheckResult(check.id, check.area, check.asks, State.FINE, "", of, of)


def score(results: Sequence[CheckResult], *, broken: bool) -> Score:
    """Points of all checks. What could not be checked earns none, and is told apart from what is wrong."""
    parts = tuple(_part(area, [one for one in results if one.area is area]) for area in Area)
    parts = tuple(part for part in parts if part.of)
    # A hundred is said of a whole alone: what is nearly whole is not rounded up to it.
    whole = all(one.points >= one.of for one in results)
    value = 100 if whole else min(99, round(sum(part.points for part in parts)))
    unchecked = round(sum(part.unchecked for part in parts))
    sentence = f"{value} of 100 points"
    sentence += f"; {unchecked} could not be checked." if unchecked else "."
    if broken and value > _WHILE_BROKEN:
        value = _WHILE_BROKEN
        sentence += f" The score is no higher than {_WHILE_BROKEN} while something is broken."
    return Score(value, unchecked, parts, sentence)


def _part(area: Area, results: Sequence[CheckResult]) -> ScorePart:
    unknown = [one for one in results if one.state is State.UNKNOWN]
    lost = [one for one in results if one.state is State.FOUND and one.points < one.of]
    words = []
    if lost:
        words.append(f"{len(lost)} of {len(results)} checks found something")
    if unknown:
        words.append(f"{len(unknown)} could not be made")
    return ScorePart(
        area,
        points=round(sum(one.points for one in results), 1),
        of=round(sum(one.of for one in results), 1),
        unchecked=round(sum(one.of for one in unknown), 1),
        why=(", ".join(words) or "all is fine") + ".",
    )
