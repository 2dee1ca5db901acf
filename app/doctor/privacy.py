"""Secrets and personal data in what is stored: located, never shown. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from app.doctor.facts import Facts, Missing
from app.doctor.finding import MOST_EVIDENCE, Area, Finding, Severity, Unknown, anchor, for_yaml
from app.doctor.observe import Place

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
    if isinstance(facts.traces, Missing):
        yield Unknown(check, facts.traces.why)
        return
    if not facts.traces:
        yield Unknown(check, "The window holds no traces.")
        return
    where: dict[Place, list[str]] = defaultdict(list)
    for trace in facts.traces:
        for place in trace.secrets:
            where[place].append(trace.trace_id)
    for place, traces in sorted(where.items(), key=lambda item: (-len(item[1]), item[0].service, item[0].attribute))[:_MOST]:
        yield Finding(
            check=check,
            area=Area.PRIVACY,
            severity=Severity.HARMFUL,
            subject=f"{place.service}: {place.attribute}",
            title=f"{place.service} writes a secret into {place.attribute}.",
            detail="Everybody who may read traces can use it. It is stored by now: it has to be replaced, not only masked.",
            measured=f"{len(traces):,} of {len(facts.traces):,} traces",
            evidence=tuple(traces[:MOST_EVIDENCE]),
            remedy=f"Take it out of {place.service}, mask it in the Collector, and replace the secret.",
            paste=_MASK.format(attribute=for_yaml(place.attribute)),
            paste_language="yaml",
            docs=anchor(check),
        )


def persons(check: str, facts: Facts) -> Said:
    """Do spans hold names, mail addresses or telephone numbers?"""
    if isinstance(facts.traces, Missing):
        yield Unknown(check, facts.traces.why)
        return
    if not facts.traces:
        yield Unknown(check, "The window holds no traces.")
        return
    where: dict[Place, list[str]] = defaultdict(list)
    for trace in facts.traces:
        for place in trace.persons:
            where[place].append(trace.trace_id)
    for place, traces in sorted(where.items(), key=lambda item: (-len(item[1]), item[0].service, item[0].attribute))[:_MOST]:
        yield Finding(
            check=check,
            area=Area.PRIVACY,
            severity=Severity.WEAK,
            subject=f"{place.service}: {place.attribute}",
            title=f"{place.service} writes personal data into {place.attribute}.",
            detail="It may be wanted: then mind who reads traces and how long they are kept. user.hash finds a person as well.",
            measured=f"{len(traces):,} of {len(facts.traces):,} traces",
            evidence=tuple(traces[:MOST_EVIDENCE]),
            remedy="Send user.hash or an opaque user.id instead, or let the Collector hash names.",
            paste=_HASH,
            paste_language="shell",
            docs=anchor(check),
        )
