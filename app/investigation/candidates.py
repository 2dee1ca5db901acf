"""The traces behind an alert in the order in which an investigator wants them, each with the reason for its place.

Unusual first: what differs from the mass is what a list of a thousand alike refusals hides. Pure.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from app.analysis.verdict import Layer, Outcome
from app.investigation.judgements import Judged, Unjudged
from app.times import UnixNanos

K = TypeVar("K")

_WORD = re.compile(r"[\w.:-]{1,40}")

# Fewer verdicts than this have no mass that one of them could differ from.
_ENOUGH = 5
_RARE = 0.1


class Order(enum.StrEnum):
    UNUSUAL = "unusual"
    NEWEST = "newest"
    SLOWEST = "slowest"


class Candidate(msgspec.Struct, frozen=True):
    """One trace that may be behind the alert.

    why:      how it was found: "Labels match: subnet, time"; "" where only an exemplar names it.
    exemplar: the measured series itself names it.
    verdict:  None while it has not been judged.
    """

    trace_id: str
    start_ns: UnixNanos
    duration_ns: int
    name: str
    why: str
    exemplar: bool = False
    verdict: Judged | Unjudged | None = None

    @property
    def judged(self) -> Judged | None:
        return self.verdict if isinstance(self.verdict, Judged) else None

    @property
    def unjudged(self) -> Unjudged | None:
        return self.verdict if isinstance(self.verdict, Unjudged) else None


class Listed(msgspec.Struct, frozen=True):
    """A candidate in its place. `unusual`: `why` says what is unusual about it."""

    candidate: Candidate
    why: str
    unusual: bool


class Tally(msgspec.Struct, frozen=True):
    """How many of the judged ended how, and for which reasons they were refused, the most frequent first."""

    outcomes: tuple[tuple[Outcome, int], ...]
    reasons: tuple[tuple[str, int], ...]
    judged: int
    waiting: int
    unjudged: int


def tally(candidates: Sequence[Candidate]) -> Tally:
    verdicts = [found for candidate in candidates if (found := candidate.judged)]
    reasons = Counter(reason(verdict) for verdict in verdicts if reason(verdict))
    return Tally(
        outcomes=tuple(Counter(verdict.outcome for verdict in verdicts).most_common()),
        reasons=tuple(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
        judged=len(verdicts),
        waiting=sum(candidate.verdict is None for candidate in candidates),
        unjudged=sum(candidate.unjudged is not None for candidate in candidates),
    )


def passes(candidate: Candidate, outcome: str, why: str) -> bool:
    """Has the candidate this outcome and this reason? "" asks for any."""
    verdict = candidate.judged
    if outcome and (verdict is None or verdict.outcome.value != outcome):
        return False
    return not why or (verdict is not None and reason(verdict) == why)


def reason(verdict: Judged) -> str:
    """The system's own word where it is one, else the normalised code, else its own words cut to a chip's length."""
    return verdict.reason if _WORD.fullmatch(verdict.reason) else verdict.reason_code or verdict.reason[:60]


def listed(candidates: Sequence[Candidate], order: Order, *, layer_word: Callable[[Layer], str]) -> list[Listed]:
    """All candidates in order. layer_word: a layer as it stands inside a sentence, such as "the rate limiter"."""
    mass = _Mass(candidates, layer_word)
    placed = [(mass.place(candidate), candidate) for candidate in candidates]
    match order:
        case Order.NEWEST:
            placed.sort(key=lambda pair: -pair[1].start_ns)
        case Order.SLOWEST:
            placed.sort(key=lambda pair: (-pair[1].duration_ns, -pair[1].start_ns))
        case Order.UNUSUAL:
            placed.sort(key=lambda pair: (pair[0][0], -pair[1].start_ns))
    return [Listed(candidate, why, unusual=rank < _EXEMPLAR) for (rank, why), candidate in placed]


_BYPASSED, _OPEN, _BROKE_IN, _OUTCOME, _LAYER, _REASON, _EXEMPLAR, _FOUND, _WAITING, _FAILED = range(10)


class _Mass:
    """What is usual among the judged."""

    def __init__(self, candidates: Sequence[Candidate], layer_word: Callable[[Layer], str]) -> None:
        verdicts = [found for candidate in candidates if (found := candidate.judged)]
        self._layer_word = layer_word
        self._outcomes = Counter(verdict.outcome for verdict in verdicts)
        self._refusals = Counter(verdict.layer for verdict in verdicts if _refused(verdict) and verdict.layer)
        self._reasons = Counter(reason(verdict) for verdict in verdicts if _refused(verdict) and reason(verdict))
        self._failures: dict[str, list[int]] = {}
        self._successes: Counter[str] = Counter()
        for verdict in verdicts:
            if verdict.principal and _refused(verdict):
                self._failures.setdefault(verdict.principal, []).append(verdict.start_ns)
            elif verdict.principal and verdict.outcome is Outcome.ALLOWED:
                self._successes[verdict.principal] += 1

    def place(self, candidate: Candidate) -> tuple[int, str]:
        verdict = candidate.judged
        if verdict is None:
            return (_WAITING, _found(candidate)) if candidate.verdict is None else (_FAILED, _found(candidate))
        for unusual in (self._bypassed, self._open, self._broke_in, self._outcome, self._layer, self._reason):
            found = unusual(verdict)
            if found is not None:
                return found
        return (_EXEMPLAR if candidate.exemplar else _FOUND), _found(candidate)

    def _bypassed(self, verdict: Judged) -> tuple[int, str] | None:
        return (_BYPASSED, "Refused, and it happened all the same") if verdict.outcome is Outcome.BYPASSED else None

    def _open(self, verdict: Judged) -> tuple[int, str] | None:
        return (_OPEN, "A check broke, and the request went on") if verdict.failed_open else None

    def _broke_in(self, verdict: Judged) -> tuple[int, str] | None:
        if verdict.outcome is not Outcome.ALLOWED or not verdict.principal:
            return None
        before = sum(at < verdict.start_ns for at in self._failures.get(verdict.principal, ()))
        if not before:
            return None
        times = "once" if before == 1 else f"{before} times"
        only = "The only success" if self._successes[verdict.principal] == 1 else "A success"
        return _BROKE_IN, f"{only} for a name that failed {times} before"

    def _outcome(self, verdict: Judged) -> tuple[int, str] | None:
        rare = _rare(self._outcomes, verdict.outcome)
        word = _OUTCOMES[verdict.outcome]
        return None if rare is None else (_OUTCOME, f"The only one {word}" if rare == 1 else f"One of {rare} {word}")

    def _layer(self, verdict: Judged) -> tuple[int, str] | None:
        if verdict.layer is None or not _refused(verdict):
            return None
        rare = _rare(self._refusals, verdict.layer)
        if rare is None:
            return None
        word = self._layer_word(verdict.layer)
        return _LAYER, f"The only one that {word} refused" if rare == 1 else f"One of {rare} that {word} refused"

    def _reason(self, verdict: Judged) -> tuple[int, str] | None:
        if not _refused(verdict):
            return None
        rare = _rare(self._reasons, reason(verdict))
        if rare is None:
            return None
        words = reason(verdict).replace("_", " ")
        return _REASON, f"The only one refused for: {words}" if rare == 1 else f"One of {rare} refused for: {words}"


_OUTCOMES = {
    Outcome.ALLOWED: "allowed",
    Outcome.DENIED: "denied",
    Outcome.PARTIALLY_DENIED: "partly denied",
    Outcome.BYPASSED: "bypassed",
    Outcome.ERROR: "that broke",
    Outcome.INCONCLUSIVE: "that is inconclusive",
    Outcome.NO_AUTH_EVIDENCE: "without auth evidence",
}


def _refused(verdict: Judged) -> bool:
    return verdict.outcome in (Outcome.DENIED, Outcome.PARTIALLY_DENIED)


def _rare(counts: Mapping[K, int], value: K) -> int | None:
    """How many there are of it, where they are few among many."""
    total, own = sum(counts.values()), counts.get(value, 0)
    return own if own and total >= _ENOUGH and own <= max(1, total * _RARE) and own < max(counts.values()) else None


def _found(candidate: Candidate) -> str:
    if not candidate.exemplar:
        return candidate.why
    return "Exemplar of the rule’s series" + (", labels match" if candidate.why else "")
