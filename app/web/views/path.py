"""The path: hops in the order met, with what each decided; arrows out, and the refusal on its way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from app.analysis.verdict import Decision, EffectKind, EffectTime, FindingKind, LayerDecision, Outcome, SideEffect
from app.times import format_duration
from app.traces import semconv
from app.traces.model import Node, SpanKind
from app.web import words
from app.web.views import naming
from app.web.views.asked import Asked
from app.web.views.hops import Hops, doors_passed
from app.web.views.reading import Reading, where
from app.web.views.rows import status

_ACROSS = 5  # more steps than this do not fit side by side at 1,200 px and run downwards
_LONGEST = 9  # hops shown; of a longer line the middle becomes one step that says how many
_ALSO = 5  # side calls named under a hop
_CHECKS = 2  # checks of a hop named in its box
_NOT_REACHED = 3

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True)
class Also:
    """A side call or effect under a hop: `identity  Allow  session active`."""

    name: str
    note: str
    decision: Decision | None = None
    href: str = ""


@dataclass(frozen=True)
class Step:
    """One box. kind: client, hop, decides, open (its answer is not known), unreached, elided.

    layer: what kind of door it is, in words
    tone:  colour of the frame of a deciding or open hop
    """

    kind: str
    layer: str
    name: str
    note: str = ""
    decision: Decision | None = None
    tone: str = ""
    also: tuple[Also, ...] = ()
    more: int = 0
    href: str = ""
    who: str = ""


@dataclass(frozen=True)
class Leg:
    """The way from one step to the next: what was asked, what came back. kind: call, shut, through."""

    kind: str
    out: str
    back: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Pair:
    """A step and the leg that leads to it, None before the first."""

    leg: Leg | None
    step: Step | None


@dataclass(frozen=True)
class PathView:
    """lead: the whole in one sentence. down: too long to lie across. back: what the dashed arrow means, "" for none."""

    lead: str
    pairs: tuple[Pair, ...]
    down: bool
    tone: str
    back: str


def path(reading: Reading, hops: Hops, asked: Asked) -> PathView | None:
    """The path of a trace; None where there is no entry to begin at."""
    if reading.entry is None:
        return None
    pairs = tuple(_Path(reading, hops, asked).pairs())
    back = {"deny": "refusal on its way back", "open": "refusal of unknown origin", "error": "failure on its way back"}
    came_back = any(pair.leg is not None and pair.leg.back and pair.leg.tone for pair in pairs)
    steps = sum(pair.step is not None for pair in pairs)
    down = steps > _ACROSS
    return PathView(_lead(reading, hops), pairs, down, reading.tone, back.get(reading.tone, "") if came_back else "")


class _Path:
    def __init__(self, reading: Reading, hops: Hops, asked: Asked) -> None:
        self.reading = reading
        self.hops = hops
        self.asked = asked
        self.deciding = reading.deciding()
        self.apart = hops.apart(self.deciding) if self.deciding is not None else ""
        self.decided_by = (
            hops.of(self.deciding.span_id) if self.deciding is not None and not self.apart else None
        )  # the hop that took the decision itself
        self.effects = self._effects_by_hop()
        self._entry_id = reading.entry.span.span_id if reading.entry is not None else ""

    def pairs(self) -> Iterator[Pair]:
        yield Pair(None, self._client())
        line = self.hops.line
        cut = len(line) - _LONGEST
        for position, hop in enumerate(line):
            if cut > 0 and 3 <= position < 3 + cut:
                if position == 3:
                    yield Pair(Leg("call", "…", "…", self._back_tone(hop)), self._elided(cut))
                continue
            yield Pair(self._leg(hop), self._hop(hop))
        yield from self._decider_without_spans()
        yield from self._missing_hop()
        yield from self._after()

    # ------------------------------------------------------------------------------------------------------- steps

    def _client(self) -> Step:
        verdict, entry = self.reading.verdict, self.reading.entry
        assert entry is not None
        if entry.span.kind is SpanKind.CONSUMER:
            name = semconv.destination(entry.span) or semconv.messaging_system(entry.span) or "message"
            return Step("client", "Message from", name, note="nobody waits for an answer")
        saw = verdict.entry.status if verdict.entry else None
        note = f"saw {saw}" if saw is not None else "what it saw is not recorded"
        return Step("client", "Client", verdict.client_address or "not recorded", note=note, who=verdict.principal or "")

    def _hop(self, hop: Node) -> Step:
        reading = self.reading
        own = self.hops.own_decision(hop)
        decides = self.decided_by is hop
        if decides:
            own = self.deciding
        unread = own is not None and own.decision is Decision.UNKNOWN
        is_open = not decides and reading.tone == "open" and (unread or self._may_have_refused(hop, own))
        also = [*self._side_calls(hop), *self._effects(hop)]
        also += self._unseen(hop, {one.name for one in also})
        return Step(
            kind="decides" if decides and reading.tone in ("deny", "error") else "open" if is_open else "hop",
            layer=self._layer(hop, own),
            name=hop.service,
            note=self._note(hop, own, is_open=is_open),
            decision=own.decision if own is not None else Decision.NO_EVIDENCE if is_open else None,
            tone=reading.tone,
            also=tuple(also[:_ALSO]),
            more=max(0, len(also) - _ALSO),
            href=self._href(own.span_id if own is not None and own.span_id else hop.span.span_id),
        )

    def _elided(self, count: int) -> Step:
        passed = "passed it on" if self.reading.tone in ("deny", "error", "open") else "in between"
        return Step("elided", "", f"{count:,} more hops", note=passed, href=self.asked.href(start=0) + "#spans")

    def _decider_without_spans(self) -> Iterator[Pair]:
        """A database, a broker, a third party: it decided, and only its caller's span tells."""
        deciding, tone = self.deciding, self.reading.tone
        if deciding is None or not self.apart or tone not in ("deny", "error"):
            return
        call = self.hops.call(deciding)
        answered = status(call.span) if call is not None else ""
        back = _answer(answered, deciding) if answered else self.reading.decided
        step = Step("decides", words.layer(deciding.layer), self.apart, deciding.reason, deciding.decision, tone,
                    href=self._href(deciding.span_id))  # fmt: skip
        yield Pair(Leg("call", naming.call(call.span) if call is not None else "a call without a span", back, tone), step)

    def _missing_hop(self) -> Iterator[Pair]:
        """The hop whose answer would tell."""
        node = self.reading.trace.by_id.get(self.reading.focus)
        gap = self.reading.gap(node) if node is not None else None
        if self.reading.tone != "open" or node is None or gap is None or not gap.on_path:
            return
        answered = status(node.span)
        back = f"{answered}, unread" if answered else "no answer seen"
        note = f"its span is missing; the call says {answered}, not what was decided" if answered else "its span is missing"
        layer = self.reading.decision(node)
        step = Step("open", words.layer(layer.layer) if layer else "Service", gap.peer or layer_target(layer) or "not named",
                    note, Decision.UNKNOWN, "open", href=self._href(node.span.span_id))  # fmt: skip
        yield Pair(Leg("call", naming.call(node.span), back, "open"), step)

    def _after(self) -> Iterator[Pair]:
        """What lies behind the door that was shut."""
        outcome, tone = self.reading.verdict.outcome, self.reading.tone
        if outcome is Outcome.BYPASSED:
            yield Pair(Leg("through", "went on all the same", tone=tone), self._protected())
            return
        if tone not in ("deny", "error") or not self.reading.verdict.span_id:
            return
        unreached = [d for d in self.reading.verdict.layers if d.decision is Decision.NOT_REACHED]
        stopped = "stopped here" if tone == "deny" else "broke here"
        if not unreached:
            yield Pair(Leg("shut", stopped, tone=tone), None)
        for position, layer in enumerate(unreached[:_NOT_REACHED]):
            leg = Leg("shut", stopped, tone=tone) if position == 0 else Leg("unreached", "")
            note = layer.reason or "was not reached"
            yield Pair(leg, Step("unreached", words.layer(layer.layer), layer.target or layer.service, note, layer.decision))

    def _protected(self) -> Step | None:
        """The first thing that happened although it had been refused."""
        late = [e for e in self.reading.verdict.side_effects if e.when is EffectTime.AFTER_DENIAL]
        effect = next((e for e in late if e.kind is not EffectKind.AUDIT), None)
        node = self.reading.trace.by_id.get(effect.span_id) if effect else None
        if effect is None or node is None:
            return None
        distance = format_duration(abs(self.reading.distance_ns(effect, node)))
        note = f"{naming.name(node.span)} ran {distance} after the refusal"
        return Step("through", "Changed", effect.target or node.service, note, tone="deny", href=self._href(effect.span_id))

    # --------------------------------------------------------------------------------------------------- their words

    def _layer(self, hop: Node, own: LayerDecision | None) -> str:
        if own is not None:
            return words.layer(own.layer)
        same = [layer for layer in self.reading.verdict.layers if layer.service == hop.service and not layer.target]
        return words.layer(same[0].layer) if same else "Service"

    def _note(self, hop: Node, own: LayerDecision | None, *, is_open: bool) -> str:
        """Why, by whom it was checked, and what the hop did with the refusal."""
        why = ""
        if own is not None:
            why = own.reason or (self.reading.verdict.reason or "" if own is self.deciding else "")
            why = why or self._checks(hop, own)
        if own is not None and own.decision is Decision.UNKNOWN:
            return own.reason or f"answered {status(hop.span) or 'without a status'}; what it decided is not recorded"
        unseen = "Its own check, if any, left no span" if is_open else ""
        return ". ".join(note for note in (why, self.reading.answer(hop), unseen) if note)

    def _checks(self, hop: Node, own: LayerDecision) -> str:
        """`auth.token_validate, auth.permission_check`: the checks that decided so, by name."""
        names = self.hops.checks(hop, own.decision)
        if not names:
            node = self.reading.trace.by_id.get(own.span_id)
            return naming.name(node.span) if node is not None and node is not hop else ""
        rest = len(names) - _CHECKS
        return ", ".join(names[:_CHECKS]) + (f" and {rest:,} more" if rest > 0 else "")

    def _leg(self, hop: Node) -> Leg:
        """From whoever called this hop, into it."""
        answered, tone = status(hop.span), self._back_tone(hop)
        if self.decided_by is hop and self.deciding is not None and tone:
            answered = _answer(answered, self.deciding)
        if hop is self.reading.entry and hop.span.kind is SpanKind.CONSUMER:
            return Leg("call", naming.asked(hop.span))
        return Leg("call", naming.asked(hop.span), answered or "no status", tone)

    def _back_tone(self, hop: Node) -> str:
        """The refusal's colour, on the hops that it came back through; elsewhere an answer is only an answer."""
        tone = self.reading.tone
        if tone not in ("deny", "error", "open"):
            return ""
        if self.reading.verdict.outcome in (Outcome.DENIED, Outcome.ERROR, Outcome.INCONCLUSIVE):
            return tone
        # Who was asked says so in its answer, whatever its status; a check of the hop's own shows in its status alone.
        asked = self.reading.is_deciding(hop) and hop.span.span_id != self._entry_id
        return tone if asked or (semconv.http_status(hop.span) or 0) >= 400 else ""

    def _may_have_refused(self, hop: Node, own: LayerDecision | None) -> bool:
        known = self.reading.hops.get(hop.span.span_id)
        return own is None and not (known is not None and known.relay) and (semconv.http_status(hop.span) or 0) >= 400

    # ---------------------------------------------------------------------------------------------------- side calls

    def _side_calls(self, hop: Node) -> Iterator[Also]:
        alike: dict[tuple[str, Decision | None, str], list[Node]] = {}
        for call in self.hops.side_calls(hop):
            own = self.hops.own_decision(call)
            answered = status(call.span)
            note = own.reason if own is not None and own.reason else f"answered {answered}" if answered else ""
            alike.setdefault((call.service, own.decision if own is not None else None, note), []).append(call)
        for (service, decision, note), calls in alike.items():
            several = f"{len(calls):,} calls" if len(calls) > 1 else ""
            yield Also(service, ", ".join(filter(None, (several, note))), decision, self._href(calls[0].span.span_id))
        drawn = (self.reading.verdict.span_id, self.reading.focus if self.reading.tone == "open" else None)
        beside = {call.service for call in self.hops.side_calls(hop)}
        for layer in self.hops.decisions(hop):
            name = self.hops.decider(layer)
            if name != hop.service and name not in beside and layer.span_id not in drawn:
                yield Also(name, layer.reason, layer.decision, self._href(layer.span_id))

    def _unseen(self, hop: Node, named: set[str]) -> Iterator[Also]:
        """Calls of this hop whose other end is not in the trace, and is not drawn otherwise."""
        broke = {finding.span_id for finding in self.reading.verdict.findings if finding.kind is FindingKind.FAIL_OPEN}
        drawn = {self.reading.verdict.span_id, self.reading.focus if self.reading.tone == "open" else None}
        known = self.reading.trace.by_id
        for span_id in dict.fromkeys((*self.reading.gaps, *broke)):
            node = known.get(span_id)
            if node is None or node.span.kind is not SpanKind.CLIENT or span_id in drawn or self.hops.of(span_id) is not hop:
                continue
            gap = self.reading.gap(node)
            name = gap.peer if gap is not None else naming.called(node.span)
            if not name or name in named:
                continue
            named.add(name)
            said = [f"answered {answered}" if (answered := status(node.span)) else "no answer seen"]
            said += ["its span is missing" if gap.missing else "it sends no spans"] if gap is not None else []
            yield Also(name, ", ".join(said), Decision.ERROR if span_id in broke else None, self._href(span_id))

    def _effects(self, hop: Node) -> Iterator[Also]:
        """`shop-db  1 write before, 1 audit record after`"""
        by_target: dict[str, list[SideEffect]] = {}
        for effect in self.effects.get(hop.index, []):
            by_target.setdefault(where(effect, self.reading.trace.by_id[effect.span_id]), []).append(effect)
        for target, effects in by_target.items():
            counted = Counter((_EFFECT_NOUN[e.kind], _WHEN[e.when]) for e in effects)
            note = ", ".join(
                f"{count} {noun if count == 1 else _plural(noun)}{f' {when}' if when else ''}"
                for (noun, when), count in counted.items()
            )
            yield Also(target, note, href=self._href(effects[0].span_id))

    def _effects_by_hop(self) -> dict[int, list[SideEffect]]:
        found: dict[int, list[SideEffect]] = {}
        for effect in self.reading.verdict.side_effects:
            hop = self.hops.of(effect.span_id)
            if hop is not None:
                found.setdefault(hop.index, []).append(effect)
        return found

    def _href(self, span_id: str) -> str:
        return self.asked.href(span=span_id) + f"#s-{span_id}"


_EFFECT_NOUN = {
    EffectKind.DB_WRITE: "write",
    EffectKind.MESSAGE: "message",
    EffectKind.HTTP_WRITE: "call",
    EffectKind.OBJECT_WRITE: "object",
    EffectKind.CACHE_WRITE: "cache write",
    EffectKind.MAIL: "mail",
    EffectKind.AUDIT: "audit record",
}
_WHEN = {EffectTime.BEFORE_DENIAL: "before", EffectTime.AFTER_DENIAL: "after", EffectTime.NO_DENIAL: ""}


def _plural(noun: str) -> str:
    return f"{noun}s"


def layer_target(layer: LayerDecision | None) -> str:
    return layer.target if layer is not None else ""


def _answer(status: str, deciding: LayerDecision) -> str:
    """`200, deny`: where the status does not tell."""
    return f"{status}, {deciding.decision.value}" if status.startswith("2") else status


def _lead(reading: Reading, hops: Hops) -> str:
    passed = doors_passed(hops)
    through = f"The request went through {_number(passed)} {'door' if passed == 1 else 'doors'}"
    outcome = reading.verdict.outcome
    if outcome is Outcome.DENIED:
        return f"{through} and stopped at the {_ordinal(passed)}." if passed else "The request stopped at its first door."
    if outcome is Outcome.PARTIALLY_DENIED:
        return "One branch was stopped; the request as a whole went on."
    if outcome is Outcome.BYPASSED:
        return "The door was shut, and the request went through all the same."
    if outcome is Outcome.ERROR:
        return "Nobody refused: something on the way broke."
    if outcome is Outcome.INCONCLUSIVE:
        start = f"{through}. " if passed else ""
        return f"{start}Which of the next doors was shut is not recorded."
    if outcome is Outcome.ALLOWED and reading.failed_open:
        return (
            f"{through}, and past a check that could not decide."
            if passed
            else "A check could not decide, and the request went on."
        )
    if outcome is Outcome.ALLOWED:
        return f"{through}." if passed else "The request got its answer; no door is to be seen."
    return "The way of the request, as far as its spans tell."


def _number(count: int) -> str:
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"


def _ordinal(passed: int) -> str:
    return _ORDINALS[passed] if passed < len(_ORDINALS) else "next"
