"""Signal rules: those in force, a house's own, the form that writes one, and what a trial of it found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from app.analysis.rulebook import Rule, RuleText
from app.analysis.ruletext import RuleError
from app.analysis.trial import Trial, Tried
from app.analysis.verdict import Confidence, Outcome, Verdict
from app.house.book import MOST_BYTES, MOST_TEXTS, Skipped
from app.house.tables import HouseRuleChangeRow, HouseRuleRow
from app.times import UnixNanos, from_datetime
from app.web import words

_AROUND = 3  # lines shown before and after a mistake
_IDS = 5  # ids named in a row

SKELETON = """\
rules:
  - id: house.gate                     # unique; an id that is shipped replaces that rule
    system: The gate of this house
    summary: Whether the gate opened.
    match: {span_name: '^gate\\.ask$', attributes: {gate.answer: '*'}}
    layer: application
    phase: authz
    decision:                          # tried in the order written; the first that holds counts
      deny: [{attr: {gate.answer: shut}}]
      allow: [{attr: {gate.answer: open}}]
    reason_from: [gate.why, status.message]
"""
_ACTS = {
    "added": "added",
    "changed": "changed",
    "enabled": "put in force",
    "disabled": "taken out of force",
    "deleted": "deleted",
}


def rule_href(rule_id: str) -> str:
    """The page of a rule by its own id, wherever it is written."""
    return f"/rules/rule?id={quote(rule_id, safe='')}"


def house_href(document: str) -> str:
    return f"/rules/{document}"


# ---------------------------------------------------------------------------------------------------------- the list


@dataclass(frozen=True)
class RuleLine:
    """A rule in force.

    origin:   where it is written: `shipped`, `file gate.yaml`, `house rule Gate`
    replaces: it stands in the place of another of its id
    """

    id: str
    href: str
    system: str
    summary: str
    layer: str
    phase: str
    decisions: str
    origin: str
    house: bool
    replaces: bool

    @classmethod
    def of(cls, rule: Rule) -> RuleLine:
        return cls(
            id=rule.id,
            href=rule_href(rule.id),
            system=rule.system,
            summary=rule.summary,
            layer=words.LAYER[rule.layer],
            phase=words.PHASE[rule.phase],
            decisions=", ".join(name for name, _ in rule.decisions),
            origin=origin(rule),
            house=rule.house,
            replaces=rule.replaces is not None,
        )

    def has(self, wanted: str) -> bool:
        """Whether all words of a filter stand in it."""
        text = " ".join((self.id, self.system, self.summary, self.layer, self.phase, self.decisions, self.origin)).casefold()
        return all(word in text for word in wanted.casefold().split())


def origin(rule: Rule) -> str:
    if rule.document:
        return f"house rule {rule.file}"
    return f"file {rule.file}" if rule.house else "shipped"


@dataclass(frozen=True)
class HouseLine:
    """A house rule's text in the list.

    state:  `in force`, `off`, or `not usable`
    ids:    the rules that it puts in force, as far as they are named here; `more` are not
    """

    name: str
    href: str
    state: str
    ids: tuple[tuple[str, str], ...]
    more: int
    version: int
    enabled: bool
    changed_ns: UnixNanos
    changed_by: str

    @classmethod
    def of(cls, row: HouseRuleRow, rules: Sequence[Rule], skipped: Mapping[str, Skipped]) -> HouseLine:
        own = [rule for rule in rules if rule.document == row.id]
        return cls(
            name=row.name,
            href=house_href(row.id),
            state=state(row, skipped),
            ids=tuple((rule.id, rule_href(rule.id)) for rule in own[:_IDS]),
            more=max(0, len(own) - _IDS),
            version=row.version,
            enabled=row.enabled,
            changed_ns=from_datetime(row.changed_at),
            changed_by=row.changed_by,
        )


def state(row: HouseRuleRow, skipped: Mapping[str, Skipped]) -> str:
    if not row.enabled:
        return "off"
    return "not usable" if row.id in skipped else "in force"


@dataclass(frozen=True)
class FileLine:
    """A file of house rules; it is changed on the server."""

    name: str
    ids: tuple[tuple[str, str], ...]
    more: int

    @classmethod
    def of(cls, file: RuleText, rules: Sequence[Rule]) -> FileLine:
        own = [rule for rule in rules if rule.house and not rule.document and rule.file == file.file]
        return cls(file.file, tuple((rule.id, rule_href(rule.id)) for rule in own[:_IDS]), max(0, len(own) - _IDS))


@dataclass(frozen=True)
class ChangeLine:
    """`Gate changed by Ines Varga`. href: its history, which outlives it."""

    name: str
    did: str
    by: str
    at_ns: UnixNanos
    href: str

    @classmethod
    def of(cls, row: HouseRuleChangeRow) -> ChangeLine:
        return cls(row.name, _ACTS[row.act], row.by, from_datetime(row.at), f"{house_href(row.rule_id)}/history")


@dataclass(frozen=True)
class RulesView:
    """lines: the rules in force that the filter leaves; `total` counts all of them"""

    house: tuple[HouseLine, ...]
    files: tuple[FileLine, ...]
    skipped: tuple[tuple[str, str], ...]
    lines: tuple[RuleLine, ...]
    total: int
    q: str
    changes: tuple[ChangeLine, ...]
    may_change: bool
    most: int = MOST_TEXTS


# --------------------------------------------------------------------------------------------------------- one of them


@dataclass(frozen=True)
class TextLine:
    number: int
    text: str
    wrong: bool = False


def text_lines(text: str, *, first: int = 1, wrong: int = 0) -> tuple[TextLine, ...]:
    return tuple(TextLine(number, line, number == wrong) for number, line in enumerate(text.split("\n"), first))


@dataclass(frozen=True)
class RuleView:
    """A rule in force, wherever it is written.

    facts:    terms and words
    replaces: what would be in force without it, the nearest first
    where:    the house rule it is written in: words and address
    """

    line: RuleLine
    facts: tuple[tuple[str, str], ...]
    replaces: tuple[str, ...]
    where: tuple[str, str] | None
    text: tuple[TextLine, ...]
    copy_href: str


def rule_view(rule: Rule, text: str, *, may_change: bool) -> RuleView:
    facts = [
        ("Layer", words.LAYER[rule.layer] + (f", {rule.layer_by.replace('_', ' ')}" if rule.layer_by else "")),
        ("Phase", words.PHASE[rule.phase]),
        ("Decides", ", ".join(name for name, _ in rule.decisions)),
        ("Speaks as", rule.says),
        ("Known by", rule.confidence),
        ("Source", rule.source),
        ("Note", rule.note),
    ]
    beneath, other = [], rule.replaces
    while other is not None:
        what = origin(other) if other.house else f"the shipped rule of {other.file}"
        beneath.append(f"{what}, line {other.line}")
        other = other.replaces
    return RuleView(
        line=RuleLine.of(rule),
        facts=tuple((term, value) for term, value in facts if value),
        replaces=tuple(beneath),
        where=(rule.file, f"{house_href(rule.document)}#L{rule.line}") if rule.document else None,
        text=text_lines(text, first=rule.line),
        copy_href=f"/rules/new?like={quote(rule.id, safe='')}" if may_change and not rule.document else "",
    )


@dataclass(frozen=True)
class HouseView:
    """A house rule's text as it was written. `problem`: why it is not used although it is enabled."""

    name: str
    href: str
    state: str
    enabled: bool
    version: int
    text: tuple[TextLine, ...]
    problem: str
    rules: tuple[RuleLine, ...]
    overridden: tuple[str, ...]
    created_ns: UnixNanos
    created_by: str
    changed_ns: UnixNanos
    changed_by: str
    may_change: bool


def house_view(row: HouseRuleRow, rules: Iterable[Rule], skipped: Mapping[str, Skipped], *, may_change: bool) -> HouseView:
    why = skipped.get(row.id)
    own = [rule for rule in rules if rule.document == row.id]
    return HouseView(
        name=row.name,
        href=house_href(row.id),
        state=state(row, skipped),
        enabled=row.enabled,
        version=row.version,
        text=text_lines(row.text.rstrip("\n"), wrong=why.line if why else 0),
        problem=f"Line {why.line}: {why.why}" if why else "",
        rules=tuple(RuleLine.of(rule) for rule in own),
        overridden=tuple(rule.id for rule in own if rule.replaces is not None),
        created_ns=from_datetime(row.created_at),
        created_by=row.created_by,
        changed_ns=from_datetime(row.changed_at),
        changed_by=row.changed_by,
        may_change=may_change,
    )


@dataclass(frozen=True)
class DeleteView:
    name: str
    href: str
    version: int
    enabled: bool
    problem: str = ""


@dataclass(frozen=True)
class Revision:
    """What a house rule was after a change. diff: lines as (kind, text), kind `same`, `ins` or `del`; of the first, all."""

    version: int
    did: str
    name: str
    by: str
    at_ns: UnixNanos
    enabled: bool
    diff: tuple[tuple[str, str], ...]
    restore_href: str


@dataclass(frozen=True)
class HistoryView:
    """href: the house rule; "" where it was deleted"""

    name: str
    href: str
    revisions: tuple[Revision, ...]


# ------------------------------------------------------------------------------------------------------------ the form


@dataclass(frozen=True)
class Mistake:
    """Where a text is wrong: the line, what is wrong, and the lines around it."""

    line: int
    words: str
    around: tuple[TextLine, ...]

    @classmethod
    def of(cls, error: RuleError, text: str) -> Mistake:
        lines = text_lines(text.replace("\r\n", "\n").replace("\r", "\n"), wrong=error.line)
        return cls(error.line, error.words, lines[max(0, error.line - 1 - _AROUND) : error.line + _AROUND])


@dataclass(frozen=True)
class HeldLine:
    """A span that a rule is about: what it said of it, or "" where none of its decisions held; and why it is not used."""

    decision: str
    service: str
    name: str
    span_id: str
    why_not: str


@dataclass(frozen=True)
class TriedLine:
    id: str
    line: int
    replaces: str
    held: tuple[HeldLine, ...]
    more: int


@dataclass(frozen=True)
class VerdictView:
    """One side of a trial."""

    outcome: Outcome
    words: str
    sentence: str
    rule: str
    confidence: Confidence

    @classmethod
    def of(cls, verdict: Verdict) -> VerdictView:
        place = [words.layer(verdict.layer), words.PHASE[verdict.phase] if verdict.phase is not None else ""]
        return cls(verdict.outcome, ", ".join(filter(None, place)), verdict.sentence, verdict.rule or "", verdict.confidence)


@dataclass(frozen=True)
class TrialView:
    """before, after: the verdict without and with the text that was tried. changed: the fields in which they differ."""

    trace_id: str
    href: str
    spans: int
    before: VerdictView
    after: VerdictView
    changed: tuple[str, ...]
    rules: tuple[TriedLine, ...]


def trial_view(trial: Trial, *, spans: int, href: str) -> TrialView:
    return TrialView(
        trace_id=trial.with_rules.trace_id,
        href=href,
        spans=spans,
        before=VerdictView.of(trial.without),
        after=VerdictView.of(trial.with_rules),
        changed=tuple(field.replace("_", " ") for field in trial.changed),
        rules=tuple(_tried(rule) for rule in trial.rules),
    )


def _tried(rule: Tried) -> TriedLine:
    held = [HeldLine(one.decision, one.service, one.name, one.span_id, one.why_not) for one in (*rule.held, *rule.about)]
    return TriedLine(rule.id, rule.line, rule.replaces, tuple(held), rule.more)


@dataclass(frozen=True)
class RuleForm:
    """A text being written, and a trace to try it on. What was typed stays in it, whatever went wrong.

    document:     what it is kept as; "" for a new one
    wrong:        field to what is wrong with it; `problem` is about the whole
    mistake:      where the rules cannot be read
    newer:        what somebody else saved meanwhile
    kept:         it comes back from the server: no draft of the browser may take its place
    """

    name: str = ""
    text: str = SKELETON
    enabled: bool = True
    version: int = 0
    document: str = ""
    trace: str = ""
    trace_id: str = ""
    wrong: Mapping[str, str] | None = None
    problem: str = ""
    mistake: Mistake | None = None
    newer: str = ""
    trial: TrialView | None = None
    kept: bool = False

    @property
    def wrongs(self) -> Mapping[str, str]:
        return self.wrong or {}

    @property
    def action(self) -> str:
        return f"{house_href(self.document)}/edit" if self.document else "/rules"

    @property
    def back(self) -> str:
        return house_href(self.document) if self.document else "/rules"

    @property
    def draft(self) -> str:
        return f"rule-{self.document or 'new'}"

    @property
    def most(self) -> int:
        return MOST_BYTES
