"""The judgement: who refused whom and why, what it rests on, whom it concerns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from app.analysis.secrets import redact
from app.analysis.verdict import Confidence, EffectKind, EffectTime, FindingKind, Ground, Outcome
from app.times import HOUR, format_duration, iso
from app.traces import semconv
from app.traces.model import DefectKind, Node, SpanKind
from app.web import words
from app.web.formats import cut
from app.web.views import naming
from app.web.views.asked import Asked
from app.web.views.reading import Reading
from app.web.views.rules import rule_href
from app.web.views.told import Part, told

_PROOFS = 5
_STEPS = 25
_LONGEST = 200  # characters of a name worth showing whole, and of one worth searching for
_NO_ATTRIBUTES = ("span.name", "event")  # grounds that are no attribute
_RESOURCE = ("authz.resource", "auth.resource", "auth.resource.id", "auth.object", "authz.object", "authz.tenant", "tenant.id")


@dataclass(frozen=True)
class Proof:
    """A fact the verdict rests on: `authz.decision = "deny"`, and where it stands.

    attribute, value: "" where the fact is no attribute; the sentence tells it then
    rule:             the signal rule that read it; `house`: one of the house's own
    rule_href:        the page of that rule, "" where it is not in force
    """

    attribute: str
    value: str
    sentence: str
    span: str
    service: str
    rule: str
    href: str
    rule_href: str = ""
    house: bool = False


@dataclass(frozen=True)
class Fact:
    """A term and its value: as entities (kind, value, href), or as words with a tone."""

    term: str
    words: str = ""
    kind: str = ""
    href: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Judgement:
    """kicker:   who, in which phase, after the outcome's own word
    sentence: the verdict as one sentence
    sub:      what others did with it
    argument: all steps in order, as sentences
    settles:  what would settle it, where it is open; it then stands in the place of the proofs
    ruled_out: what looks like the origin and is not
    jump:     what the button says, and the row it goes to
    failed_open: let through although a check broke: the word stays, the calm green does not
    """

    outcome: Outcome
    kicker: tuple[str, ...]
    confidence: Confidence
    sentence: tuple[Part, ...]
    sub: tuple[Part, ...]
    proofs: tuple[Proof, ...]
    argument: tuple[str, ...]
    settles: tuple[str, ...]
    ruled_out: tuple[Proof, ...]
    facts: tuple[Fact, ...]
    jump: str
    jump_href: str
    failed_open: bool


def judgement(reading: Reading, asked: Asked, rules: Mapping[str, bool] | None = None) -> Judgement:
    """rules: the ids of the rules in force, and whether each is one of the house's own."""
    verdict, rules = reading.verdict, rules or {}
    names = _names(reading)
    grounds = [ground for ground in verdict.grounds if ground.role in ("origin", "enforcement", "conflict")]
    if reading.tone in ("open", "allow"):
        grounds = [ground for ground in verdict.grounds if ground.role != "ruled_out" and ground.span_id]
    # One attribute may give both the decision and its reason.
    facts = {(ground.span_id, ground.attribute or ground.sentence): ground for ground in reversed(grounds)}
    proofs = [_proof(reading, ground, asked, rules) for ground in reversed(facts.values())] or [
        Proof("", "", sentence, "", "", "", "") for sentence in verdict.because
    ]
    focus = reading.trace.by_id.get(reading.focus)
    is_gap = focus is not None and reading.gap(focus) is not None
    jump = {"deny": "Jump to the deciding span", "error": "Jump to what broke"}
    jump["open"] = "Jump to the gap" if is_gap else "Jump to the open question"
    return Judgement(
        outcome=verdict.outcome,
        kicker=tuple(_kicker(reading)),
        confidence=verdict.confidence,
        sentence=tuple(_said(reading, names)),
        sub=told(" ".join(_sub(reading)), names),
        proofs=tuple(proofs[:_PROOFS]),
        argument=verdict.because[:_STEPS],
        settles=verdict.settles if reading.tone == "open" else (),
        ruled_out=tuple(_proof(reading, ground, asked, rules) for ground in verdict.grounds if ground.role == "ruled_out")[:3],
        facts=(*_facts(reading), *_decided_by(verdict.rule, rules)),
        jump=jump["error"] if reading.failed_open else jump.get(reading.tone, "Jump to the entry"),
        jump_href=row_href(reading, asked, reading.focus),
        failed_open=reading.failed_open,
    )


def _names(reading: Reading) -> list[str]:
    verdict = reading.verdict
    found = [hop.service for hop in verdict.path] + [layer.service for layer in verdict.layers]
    found += [layer.target for layer in verdict.layers]
    found += [verdict.service or "", verdict.principal or "", *(finding.service for finding in verdict.findings)]
    return list(dict.fromkeys(found))[:60]


def _said(reading: Reading, names: list[str]) -> Iterator[Part]:
    """The verdict's sentence. A reason is quoted: a word in it that is also a service's name means something else there."""
    verdict = reading.verdict
    sentence = verdict.sentence or words.OUTCOME[verdict.outcome]
    before, reason, after = sentence.partition(f": {verdict.reason}") if verdict.reason else (sentence, "", "")
    yield from told(before, names)
    if reason:
        yield Part(reason)
        yield from told(after, names)


def _kicker(reading: Reading) -> list[str]:
    verdict = reading.verdict
    if verdict.outcome is Outcome.INCONCLUSIVE:
        return ["the client was refused, the trace does not show by whom"]
    if verdict.outcome is Outcome.NO_AUTH_EVIDENCE:
        return []
    by = {Outcome.ERROR: "at", Outcome.BYPASSED: "past"}.get(verdict.outcome, "by")
    said = [f"{by} {words.the_layer(verdict.layer)}"] if verdict.layer is not None else []
    return said + ([words.PHASE[verdict.phase]] if verdict.phase is not None else [])


# ------------------------------------------------------------------------------------------------------ what others did


def _sub(reading: Reading) -> list[str]:
    """One or two sentences on enforcement and relay, or on what stands in their place."""
    outcome = reading.verdict.outcome
    if outcome is Outcome.NO_AUTH_EVIDENCE:
        services = len(reading.trace.services)
        of = "one service" if services == 1 else f"{services:,} services"
        return [f"{len(reading.trace):,} {_spans(len(reading.trace))} of {of} were read, and no rule found a decision in them."]
    if outcome is Outcome.ALLOWED:
        return [_client_got(reading)] if reading.verdict.entry and reading.verdict.entry.status is not None else []
    if outcome is Outcome.INCONCLUSIVE:
        return _open(reading)
    if outcome is Outcome.BYPASSED:
        return [*_protected(reading), _client_got(reading)]
    said = [*_enforced(reading), *_relayed(reading)]
    if outcome is Outcome.PARTIALLY_DENIED or not said:
        said.append(_client_got(reading))
    deciding = reading.trace.by_id.get(reading.verdict.span_id or "")
    status = semconv.http_status(deciding.span) if deciding is not None else None
    if reading.refuses and status is not None and status < 400:
        said.append(f"The deciding span itself answered {status}, so no status marks it.")
    return said


def _enforced(reading: Reading) -> list[str]:
    verdict = reading.verdict
    place, kinds = verdict.enforced_by, {finding.kind for finding in verdict.findings}
    if verdict.outcome is Outcome.ERROR:
        if FindingKind.FAIL_CLOSED in kinds and "failed closed" not in verdict.sentence:
            who = place.service if place else verdict.service or "The caller"
            with_status = f" with a {place.status}" if place and place.status is not None else ""
            return [f"{who} failed closed: it refused{with_status} because it could not ask."]
        return []
    if place is None or place.span_id == verdict.span_id:
        return []
    with_status = f" with a {place.status}" if place.status is not None else ""
    if place.service == verdict.service:
        return [f"{place.service} answered{with_status}."] if with_status else []
    return [f"{place.service} enforced it{with_status}."]


def _relayed(reading: Reading) -> list[str]:
    relays = [hop for hop in reading.verdict.path if hop.relay]
    if not relays:
        return []
    entry = reading.verdict.entry
    status = f"the {entry.status}" if entry and entry.status is not None else "it"
    names = list(dict.fromkeys(hop.service for hop in reversed(relays)))
    shown = names if len(names) <= 3 else [names[0], f"{len(names) - 2:,} others", names[-1]]
    return [f"{_listed(shown)} passed {status} on to the client."]


def _open(reading: Reading) -> list[str]:
    """What is seen of the refusal, and the first thing that is not."""
    seen = [ground.sentence for ground in reading.verdict.grounds if ground.role == "origin"][:1]
    gaps = [ground.sentence for ground in reading.verdict.grounds if ground.role == "gap" and ground.span_id]
    found = [*seen, *(gaps or [f.detail for f in reading.verdict.findings if f.kind is FindingKind.MISSING_HOP])]
    names = _names(reading)
    return [_sentence(text, names) for text in found[:2]] + _relayed(reading)


def _protected(reading: Reading) -> list[str]:
    for effect in reading.verdict.side_effects:
        node = reading.trace.by_id.get(effect.span_id)
        if node is not None and effect.when is EffectTime.AFTER_DENIAL and effect.kind is not EffectKind.AUDIT:
            distance = format_duration(abs(reading.distance_ns(effect, node)))
            return [f"{naming.call(node.span)} ran {distance} after the refusal."]
    return []


def _client_got(reading: Reading) -> str:
    entry = reading.verdict.entry
    if entry is None or entry.status is None:
        return ""
    return f"The client got {words.status(entry.status)}."


# ------------------------------------------------------------------------------------------------------------ proofs


def _proof(reading: Reading, ground: Ground, asked: Asked, rules: Mapping[str, bool]) -> Proof:
    node = reading.trace.by_id.get(ground.span_id)
    is_fact = bool(ground.attribute) and ground.attribute not in _NO_ATTRIBUTES
    return Proof(
        attribute=ground.attribute if is_fact else "",
        value=_quoted(ground.value) if is_fact else "",
        # Attribute, value and span say it already; what the sentence adds stands in the argument.
        sentence="" if is_fact else ground.sentence.removeprefix("Not the origin: "),
        span=naming.call(node.span) if node is not None else "",
        service=node.service if node is not None else "",
        rule=ground.rule,
        href=row_href(reading, asked, ground.span_id) if node is not None else "",
        rule_href=rule_href(ground.rule) if ground.rule in rules else "",
        house=rules.get(ground.rule, False),
    )


def _quoted(value: str) -> str:
    """As TraceQL would have it: texts in quotes, numbers and truths bare."""
    if value in ("true", "false") or (value.removeprefix("-").isascii() and value.removeprefix("-").isdigit()):
        return value
    return f'"{value}"'


def row_href(reading: Reading, asked: Asked, span_id: str) -> str:
    """The span's row, chosen. The deciding span has the page's own address, for it is chosen anyway."""
    chosen = "" if span_id == reading.focus else span_id
    return asked.href(span=chosen, start=None) + f"#s-{span_id}"


# ------------------------------------------------------------------------------------------------------------- facts


def _facts(reading: Reading) -> list[Fact]:
    verdict = reading.verdict
    facts = []
    if verdict.principal:
        facts.append(Fact("Principal", cut(verdict.principal, _LONGEST), "user", _search(reading, principal=verdict.principal)))
    if verdict.client_address:
        address = verdict.client_address
        facts.append(Fact("Client", cut(address, _LONGEST), "addr", _search(reading, address=address)))
    session = _first(reading, semconv.ALIASES["session"])
    if session:
        facts.append(Fact("Session", session, "session"))
    resource = _first(reading, _RESOURCE)
    if resource:
        kind, _, name = resource.partition(":")
        facts.append(Fact("Resource", name, kind) if name and len(kind) <= 24 and kind else Fact("Resource", resource))
    entry = verdict.entry
    if entry is not None and entry.status is not None:
        facts.append(Fact("Client saw", words.status(entry.status)))
    elif reading.entry is not None and reading.entry.span.kind is SpanKind.CONSUMER:
        facts.append(Fact("Client", "none: work from a queue"))
    elif reading.entry is not None:
        facts.append(Fact("Client saw", "not recorded"))
    return [*facts, completeness(reading)]


def _decided_by(rule: str | None, rules: Mapping[str, bool]) -> list[Fact]:
    """The house rule that the verdict rests on; a shipped one is named where its proof stands."""
    return [Fact("Decided by", rule, "house rule", rule_href(rule))] if rule and rules.get(rule) else []


def _search(reading: Reading, **field: str) -> str:
    """What else this one did in the hour before and after; "" for what is too long to be looked for."""
    if not all(len(value) <= _LONGEST and value.isprintable() for value in field.values()):
        return ""
    around = {"start": _minute(reading.start_ns - HOUR), "end": _minute(reading.start_ns + HOUR)}
    return f"/search?{urlencode(field | around)}"


def _minute(ns: int) -> str:
    return f"{iso(ns, digits=0)[:16]}Z"


def completeness(reading: Reading) -> Fact:
    """How much of the request the trace can show."""
    kinds = {finding.kind for finding in reading.verdict.findings} | {FindingKind(d.kind) for d in reading.trace.defects
             if d.kind not in (DefectKind.INVALID_IDS, DefectKind.FOREIGN_SPANS)}  # fmt: skip
    missing = sum(finding.kind is FindingKind.MISSING_HOP for finding in reading.verdict.findings)
    silent = sum(finding.kind is FindingKind.UNINSTRUMENTED_PEER for finding in reading.verdict.findings)
    if reading.trace.partial:
        return Fact("Trace", "in part: the backend left spans out", tone="error")
    if missing:
        return Fact("Trace", "1 hop missing" if missing == 1 else f"{missing:,} hops missing", tone="error")
    if FindingKind.ORPHAN_SPANS in kinds:
        return Fact("Trace", "some parents missing", tone="error")
    if FindingKind.BROKEN_PROPAGATION in kinds:
        return Fact("Trace", "broken off where its context was lost", tone="error")
    if FindingKind.TRUNCATED_TRACE in kinds:
        return Fact("Trace", "whole, but senders dropped details", tone="error")
    if silent:
        return Fact("Trace", f"whole, but {'one hop sends' if silent == 1 else f'{silent:,} hops send'} no spans")
    return Fact("Trace", "whole, as far as it can tell")


def _first(reading: Reading, keys: tuple[str, ...]) -> str:
    """From the deciding span upwards, then from the rest of the way: what the request was about."""
    nodes: list[Node] = list(reversed(reading.chain))[:200]
    found = next((text for node in nodes if (text := semconv.first_text(node.span.attributes, keys))), "")
    return redact(found[:200])


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(text: str, names: list[str]) -> str:
    """Begun and ended as a sentence, unless a name begins it."""
    text = text.strip()
    if not text.startswith(tuple(name for name in names if name)):
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?")) else f"{text}."


def _spans(count: int) -> str:
    return "span" if count == 1 else "spans"
