"""How long the sources keep what open cases still need. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from app.doctor.facts import Facts, Missing
from app.doctor.finding import MOST_EVIDENCE, Area, Finding, Severity, Unknown, anchor
from app.errors import InvalidInput
from app.times import DAY, UnixNanos, format_duration, parse_duration

_SHORT_TRACES = 7 * DAY
_SHORT_METRICS = 8 * DAY  # the rule on slow checks compares with a week
_SOON = 0.8

_TEMPO = """\
# Tempo 3
overrides: {defaults: {compaction: {block_retention: 720h}}}
# Tempo 2
compactor: {compaction: {block_retention: 720h}}
# clew embedded: --retention 720h"""

Said = Iterator[Finding | Unknown]


class OpenCase(msgspec.Struct, frozen=True):
    """A case that is not closed: its name, since when it is open, and the traces it names without a preserved copy."""

    name: str
    opened_ns: UnixNanos
    unpreserved: tuple[str, ...] = ()


def cases(check: str, facts: Facts) -> Said:
    """Does Tempo still have what open cases name and have not preserved?"""
    if isinstance(facts.cases, Missing):
        yield Unknown(check, facts.cases.why)
        return
    for case in facts.cases:
        if case.gone:
            yield Finding(
                check=check,
                area=Area.RETENTION,
                severity=Severity.HARMFUL,
                subject=case.case,
                title=f"{case.case} names traces that Tempo no longer has and that were not preserved.",
                detail="They cannot be read any more, by nobody.",
                measured=f"{len(case.gone):,} of {case.asked:,} traces without a copy",
                evidence=case.gone[:MOST_EVIDENCE],
                remedy="Preserve traces as evidence when you add them to a case; keep traces for longer.",
                paste=_TEMPO,
                paste_language="yaml",
                docs=anchor(check),
            )
        if isinstance(facts.kept_for_ns, int) and case.oldest_ns is not None:
            age = facts.end_ns - case.oldest_ns
            if age > facts.kept_for_ns * _SOON:
                left = format_duration(max(0, facts.kept_for_ns - age))
                yield Finding(
                    check=check,
                    area=Area.RETENTION,
                    severity=Severity.WEAK,
                    subject=case.case,
                    title=f"{case.case} names traces that Tempo will delete in {left}.",
                    detail="They are not preserved.",
                    measured=f"{format_duration(age)} old; kept for {format_duration(facts.kept_for_ns)}",
                    remedy="Open the case and preserve its traces as evidence.",
                    docs=anchor(check),
                )


def traces(check: str, facts: Facts) -> Said:
    """Are traces kept long enough to look into an alert?"""
    if isinstance(facts.kept_for_ns, Missing):
        yield Unknown(check, facts.kept_for_ns.why)
        return
    oldest = 0
    if not isinstance(facts.cases, Missing) and facts.cases:
        oldest = facts.end_ns - min(case.opened_ns for case in facts.cases)
    if facts.kept_for_ns >= _SHORT_TRACES and oldest <= facts.kept_for_ns:
        return
    reason = (
        f"A case has been open for {format_duration(oldest)}: new traces of its beginning cannot be found any more."
        if oldest > facts.kept_for_ns
        else "Attacks are often found weeks after they began."
    )
    yield Finding(
        check=check,
        area=Area.RETENTION,
        severity=Severity.WEAK,
        subject="Tempo",
        title=f"Traces are kept for {format_duration(facts.kept_for_ns)}.",
        detail=reason,
        measured=format_duration(facts.kept_for_ns),
        remedy="Keep traces for 30 days, or as long as your cases take.",
        paste=_TEMPO,
        paste_language="yaml",
        docs=anchor(check),
    )


def metrics(check: str, facts: Facts) -> Said:
    """Are metrics kept long enough for the rules and for looking back?"""
    if isinstance(facts.metrics_kept, Missing):
        yield Unknown(check, facts.metrics_kept.why)
        return
    kept_ns = kept_time(facts.metrics_kept)
    if kept_ns is None:
        yield Unknown(check, f"Prometheus keeps {facts.metrics_kept}: for how long depends on what comes in.")
        return
    if kept_ns >= _SHORT_METRICS:
        return
    yield Finding(
        check=check,
        area=Area.RETENTION,
        severity=Severity.WEAK,
        subject="Prometheus",
        title=f"Metrics are kept for {format_duration(kept_ns)}.",
        detail="The rule on slow checks compares with a week, and alert history ends where the metrics do.",
        measured=format_duration(kept_ns),
        remedy="Keep metrics for 15 days or more.",
        paste="prometheus --storage.tsdb.retention.time=30d",
        paste_language="shell",
        docs=anchor(check),
    )


def kept_time(words: str) -> int | None:
    """The time in Prometheus' own words (`15d`, `15d or 50GiB`); None where only a size bounds it."""
    try:
        return parse_duration(words.partition(" or ")[0].strip())
    except InvalidInput:
        return None
