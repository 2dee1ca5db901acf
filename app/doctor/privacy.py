"""Secrets and personal data in what is stored: located, never shown. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from app.doctor.facts import Facts, Missing
from app.doctor.finding import Finding, Severity, Unknown, for_yaml, found
from app.doctor.observe import Observed, Place

_MOST = 20

_MASK = """\
processors:
  redaction/secrets:
    allow_all_keys: true
    blocked_key_patterns:
      - "(?i).*(password|passwd|secret|api_?key|cookie|authorization).*"
      - "(?i).*(access|refresh|id|bearer)[._]?token.*"
  attributes/drop:
    actions:
      - {{key: {attribute}, action: delete}}"""
_HASH = """\
# a second --config after gateway.yaml; it hashes names before they are deleted
otelcol-contrib --config gateway.yaml --config hashed-names.yaml
export AUTH_PSEUDONYM_KEY=..."""

Said = Iterator[Finding | Unknown]


def hidden(check: str, facts: Facts) -> Said:
    """Do spans hold passwords, tokens or keys?"""
    unknown = _unseen(check, facts)
    if unknown:
        yield unknown
    for place, traces in _written(facts, lambda trace: trace.secrets):
        yield found(
            check,
            Severity.HARMFUL,
            f"{place.service}: {place.attribute}",
            f"{place.service} writes a secret into {place.attribute}.",
            detail="Everybody who may read traces can use it. It is stored by now: it has to be replaced, not only masked.",
            measured=_share(traces, facts),
            evidence=traces,
            remedy=f"Take it out of {place.service}, mask it in the Collector, and replace the secret.",
            paste=_MASK.format(attribute=for_yaml(place.attribute)),
        )


def persons(check: str, facts: Facts) -> Said:
    """Do spans hold names, mail addresses or telephone numbers?"""
    unknown = _unseen(check, facts)
    if unknown:
        yield unknown
    for place, traces in _written(facts, lambda trace: trace.persons):
        yield found(
            check,
            Severity.WEAK,
            f"{place.service}: {place.attribute}",
            f"{place.service} writes personal data into {place.attribute}.",
            detail="It may be wanted: then mind who reads traces and how long they are kept. user.hash finds a person as well.",
            measured=_share(traces, facts),
            evidence=traces,
            remedy="Send user.hash or an opaque user.id instead, or let the Collector hash names.",
            paste=_HASH,
            language="shell",
        )


def _unseen(check: str, facts: Facts) -> Unknown | None:
    """Why nothing can be said, where there is nothing to look at."""
    if isinstance(facts.traces, Missing):
        return Unknown(check, facts.traces.why)
    return None if facts.traces else Unknown(check, "The window holds no traces.")


def _written(facts: Facts, places: Callable[[Observed], Iterable[Place]]) -> list[tuple[Place, list[str]]]:
    """The places and the traces in which they were met, the most frequent first."""
    where: dict[Place, list[str]] = defaultdict(list)
    for trace in () if isinstance(facts.traces, Missing) else facts.traces:
        for place in places(trace):
            where[place].append(trace.trace_id)
    return sorted(where.items(), key=lambda item: (-len(item[1]), item[0].service, item[0].attribute))[:_MOST]


def _share(traces: list[str], facts: Facts) -> str:
    looked_at = 0 if isinstance(facts.traces, Missing) else len(facts.traces)
    return f"{len(traces):,} of {looked_at:,} traces"
