"""A rule file tried on a trace: `tried(trace, files)` says what each rule held for, and what became of the verdict."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.analysis import stated
from app.analysis.examine import examine
from app.analysis.reading import Context, Reading
from app.analysis.rulebook import Hit, Rule, RuleText, checked, layered
from app.analysis.verdict import Verdict
from app.traces.model import Node, Trace

_MOST = 50  # spans listed per rule

# The fields of a verdict that a rule can change, in the order in which they are told.
_FIELDS = ("outcome", "layer", "phase", "service", "span_id", "rule", "reason", "confidence", "principal")


class Held(msgspec.Struct, frozen=True):
    """A span for which a rule held. `why_not` says why the judgement does not use it; "" where it does."""

    span_id: str
    service: str
    name: str
    decision: str
    why_not: str = ""


class Tried(msgspec.Struct, frozen=True):
    """One rule of the file.

    replaces: the file whose rule of this id it replaces, or "".
    about:    further spans that its match fits and none of its decisions.
    more:     spans that held and are not listed.
    """

    id: str
    file: str
    line: int
    replaces: str
    held: tuple[Held, ...]
    about: tuple[Held, ...]
    more: int = 0


class Trial(msgspec.Struct, frozen=True):
    """The rules, the verdict without and with them, and the fields in which the two differ."""

    rules: tuple[Tried, ...]
    without: Verdict
    with_rules: Verdict = msgspec.field(name="with")
    changed: tuple[str, ...] = ()


def tried(
    trace: Trace,
    files: Sequence[tuple[str, str] | RuleText],
    *,
    beside: Sequence[Sequence[RuleText]] = (),
    context: Context | None = None,
) -> Trial:
    """Try rule files, as (name, text) each, beside the shipped rules.

    beside: layers of other house rules that are in force, as for `layered`; what is tried counts more than they do.
    Errors: RuleError naming file and line.
    """
    context = context if context is not None else Context()
    own = [RuleText(*file) for file in files]
    before, book = layered(beside), layered([own, *beside])
    reading, collected = stated.read(trace, book, context)
    forged = {node.index for node in collected.forged}
    ids = {rule.id for text in own for rule in checked(text.text, text.file).rules}
    found = {rule.id: _Found() for rule in book.rules if rule.id in ids}
    rules = [book.by_id[id_] for id_ in found]
    for node in reading.order:
        fitting = book.fitting(rules, reading, node)
        if not fitting:
            continue
        said = book.hits(reading, node)
        if any(rule.says == "status" for rule in fitting):
            said += book.status_hits(reading, node)
        hits = {hit.rule: hit for hit in said}
        for rule in fitting:
            found[rule.id].add(rule, node, hits.get(rule), reading, forged)
    without, with_rules = examine(trace, rules=before, context=context), examine(trace, rules=book, context=context)
    return Trial(
        tuple(found[rule.id].told(rule) for rule in rules),
        without,
        with_rules,
        tuple(field for field in _FIELDS if getattr(without, field) != getattr(with_rules, field)),
    )


class _Found:
    """The spans that one rule is about, as far as they are listed."""

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.about: list[Held] = []
        self.more = 0

    def add(self, rule: Rule, node: Node, hit: Hit | None, reading: Reading, forged: set[int]) -> None:
        if hit is None:
            if len(self.about) < _MOST:
                self.about.append(_of(node, ""))
        elif len(self.held) < _MOST:
            self.held.append(_of(node, hit.decision, _why_not(rule, hit.decision, reading, node, forged)))
        else:
            self.more += 1

    def told(self, rule: Rule) -> Tried:
        replaces = rule.replaces.file if rule.replaces is not None else ""
        return Tried(rule.id, rule.file, rule.line, replaces, tuple(self.held), tuple(self.about), self.more)


def _of(node: Node, decision: str, why_not: str = "") -> Held:
    return Held(node.span.span_id, node.service, node.span.name[:200], decision, why_not)


def _why_not(rule: Rule, decision: str, reading: Reading, node: Node, forged: set[int]) -> str:
    """Why the judgement does not use what the rule said of this span."""
    if rule.says == "status":
        return ""  # asked only of the span that a verdict rests on
    if decision in ("shadow", "context"):
        return "a dry run does not count" if decision == "shadow" else "context never decides"
    signal = reading.signals.get(node.index)
    if signal is not None and signal.rule is rule:
        return ""
    if node.index in forged:
        return "the client set it, or it was copied onto many spans"
    if signal is not None:
        return f"{signal.rule.id} comes first"
    return "it lies below a dry run, a question about many things, or an error page"
