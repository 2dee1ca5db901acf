"""The signal rules: read from YAML, checked with file and line, compiled once, and found for a span in about a microsecond.

Shipped rules stand in `rules/*.yaml`; a house adds its own from a folder and from the database. A rule with the id of another
replaces it: the database before files, files before what is shipped.
The schema is in docs/rules.md.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from app.analysis import conditions, patterns, ruletext
from app.analysis.conditions import Condition, Needs, Shape, Test
from app.analysis.patterns import Vocabulary
from app.analysis.ruletext import RuleError
from app.analysis.verdict import Layer, Phase
from app.traces import semconv
from app.traces.model import Node, Span, SpanKind, Status

if TYPE_CHECKING:
    from app.analysis.reading import Reading

__all__ = ["Hit", "Rule", "RuleBook", "RuleError", "RuleText", "shipped"]

# The families in the order in which they are tried: a product's own statement before a general convention.
FAMILIES = ("proxies", "gateways", "identity", "policy", "frameworks", "stores", "services", "generic")

SAYS = ("decision", "guard", "gate", "store", "peer", "status", "fetch", "context")
DECISIONS = ("allow", "deny", "error", "unknown", "shadow", "context")
LAYER_BY = ("service_role", "deepest_originator")
DECIDERS = ("self", "callee")
_KEYS = {"id", "system", "summary", "match", "says", "layer", "layer_by", "layer_overrides", "phase", "decision", "decider",
         "bulk", "reason_from", "capture", "note", "source", "confidence"}  # fmt: skip
_MATCH = {"scope", "span_name", "kind", "attributes", "any_attribute", "without", "resource", "events", "event_attributes",
          "any_value", "words", "any"}  # fmt: skip
_CONFIDENCE = ("verified", "documented", "inferred")
_ID = re.compile(r"[\w.:-]{1,100}")
_CACHED = 20_000  # forms remembered; hostile input may have any number of them
_UNKNOWN: Any = object()
_ERROR = Status.ERROR


class Alternative:
    """One way for a span to be what a rule is about: what it must have, then what its values must be."""

    __slots__ = ("any_exact", "any_patterns", "kinds", "name", "needs", "scope", "tests", "without", "without_patterns")

    def __init__(self) -> None:
        self.scope: Any = None  # a text, a compiled pattern or None
        self.name = -1  # the index of the name's pattern in the book
        self.kinds: frozenset[SpanKind] | None = None
        self.needs = Needs()
        self.any_exact: frozenset[str] = frozenset()
        self.any_patterns: tuple[Any, ...] = ()
        self.without: frozenset[str] = frozenset()
        self.without_patterns: tuple[Any, ...] = ()
        self.tests: list[Test] = []

    def fits(self, shape: Shape) -> bool:
        """Whether a span of this shape can match, as far as scope, kind, name and keys go."""
        if self.kinds is not None and shape.kind not in self.kinds:
            return False
        if self.scope is not None and (
            shape.scope != self.scope if isinstance(self.scope, str) else not self.scope.search(shape.scope)
        ):
            return False
        if self.name >= 0 and self.name not in shape.names:
            return False
        if not self.needs.may(shape) or (self.has_any and not self.any_keys(shape.keys)):
            return False
        return not (self.without & shape.keys) and not any(p.search(k) for p in self.without_patterns for k in shape.keys)

    @property
    def has_any(self) -> bool:
        return bool(self.any_exact or self.any_patterns)

    def any_keys(self, keys: Iterable[str]) -> tuple[str, ...]:
        """The keys that satisfy any_attribute, in the span's order."""
        return tuple(
            key for key in keys if key in self.any_exact or any(p.search(key[:256]) is not None for p in self.any_patterns)
        )


class Rule:
    """How one system's spans show one of its decisions. The fields are those of docs/rules.md, and:

    house:    a house's own rule, not a shipped one
    document: what the database knows its text by; "" where it stands in a file
    replaces: the rule of the same id that would be in force without it
    end:      the last line before the next rule of its text
    """

    __slots__ = ("alternatives", "bulk", "capture", "confidence", "decider", "decisions", "document", "end", "file", "house",
                 "id", "layer", "layer_by", "layer_overrides", "line", "note", "order", "phase", "reason_from", "replaces",
                 "says", "source", "summary", "system")  # fmt: skip

    def __init__(self, id_: str, file: str, line: int) -> None:
        self.id = id_
        self.file = file
        self.line = line
        self.end = line
        self.house = False
        self.document = ""
        self.replaces: Rule | None = None
        self.order = 0
        self.system = ""
        self.summary = ""
        self.says = "decision"
        self.layer = Layer.APPLICATION
        self.layer_by = ""
        self.layer_overrides: Mapping[str, Layer] = {}
        self.phase = Phase.AUTHZ
        self.decider = "self"
        self.bulk = False
        self.capture: Any = None
        self.reason_from: tuple[str, ...] = ()
        self.note = ""
        self.source = ""
        self.confidence = "inferred"
        self.alternatives: tuple[Alternative, ...] = ()
        self.decisions: tuple[tuple[str, tuple[Condition, ...]], ...] = ()

    def __repr__(self) -> str:
        return f"<Rule {self.id}>"


class Hit:
    """A rule that holds for a span: what it decided, and the condition that said so."""

    __slots__ = ("condition", "decision", "keys", "rule")

    def __init__(self, rule: Rule, decision: str, condition: Condition, keys: tuple[str, ...]) -> None:
        self.rule = rule
        self.decision = decision
        self.condition = condition
        self.keys = keys

    @property
    def evidence(self) -> str:
        return self.condition.evidence

    @property
    def phase(self) -> Phase:
        return self.condition.phase or self.rule.phase


class _Candidate:
    """A rule with what is left of it for spans of one shape: alternatives and conditions that can hold at all."""

    __slots__ = ("alternatives", "decisions", "rule")

    def __init__(self, rule: Rule, alternatives: Sequence[Alternative], decisions: Sequence[tuple[str, Condition]]) -> None:
        self.rule = rule
        self.alternatives = alternatives
        self.decisions = decisions


class _Form:
    """Spans of one scope, kind, name and set of keys: the rules that may be about them, told apart by code and path."""

    __slots__ = ("by_value", "rules", "wants_grpc", "wants_path", "wants_status")

    def __init__(self, rules: Sequence[Rule], shape: Shape) -> None:
        self.rules = [rule for rule in rules if any(way.fits(shape) for way in rule.alternatives) and _can_say(rule, shape)]
        self.by_value: dict[tuple[Any, ...], tuple[_Candidate, ...]] = {}
        needs = [way.needs for rule in self.rules for way in rule.alternatives]
        needs += [c.needs for rule in self.rules for _, many in rule.decisions for c in many]
        self.wants_status = any(n.status is not None for n in needs)
        self.wants_grpc = any(n.grpc is not None for n in needs)
        self.wants_path = any(n.paths for n in needs)


def _can_say(rule: Rule, shape: Shape) -> bool:
    return rule.bulk or any(c.needs.may(shape) for _, many in rule.decisions for c in many)


class RuleBook:
    """A set of compiled rules. Shared between threads: its caches only ever hold what any thread would compute."""

    def __init__(self, rules: Sequence[Rule], vocabulary: Vocabulary) -> None:
        self.rules = tuple(rules)
        self.by_id = {rule.id: rule for rule in rules}
        vocabulary.seal()
        self._vocabulary = vocabulary
        self._forms: dict[tuple[Any, ...], _Form | None] = {}
        self._calm: dict[tuple[Any, ...], _Form | None] = {}  # of spans without events, words and errors
        self._signal_rules = tuple(rule for rule in self.rules if rule.says != "status")
        self._status_rules = tuple(rule for rule in self.rules if rule.says == "status")

    def __len__(self) -> int:
        return len(self.rules)

    def paths_of(self, reading: Reading) -> dict[int, frozenset[int]]:
        """The spans whose URL has a path that some rule is about, by index."""
        places, texts = [], []
        keysets = reading.keysets
        for node in reading.trace.as_sent:
            for key in keysets[node.index].paths:
                value = node.span.attributes[key]
                if value is not None:
                    places.append(node.index)
                    texts.append(semconv.without_query(semconv.text(value)))
                    break
        return {places[at]: found for at, found in self._vocabulary.paths.among(texts).items()}

    def candidates(self, reading: Reading, nodes: Iterable[Node]) -> Iterator[tuple[Node, tuple[_Candidate, ...]]]:
        """Of these spans those on which any rule is worth trying, with the rules, status rules aside; almost always few."""
        keysets, calm, match_event = reading.keysets, self._calm, self._vocabulary.events.match
        for node in nodes:
            span = node.span
            events = span.events
            flags, happened = 0, _NOTHING_FOUND
            if not events and not span.status_message and span.status is not _ERROR:
                # The common case, known by what the span is called and which keys it has.
                key = (keysets[node.index], span.scope.name, span.kind.real, span.name)
                form = calm.get(key, _UNKNOWN)
                if form is _UNKNOWN:
                    if len(calm) > _CACHED:
                        calm.clear()
                    form = calm[key] = self._form(reading, node, flags, happened)
            else:
                flags = conditions.flags_of(span)
                for event in events[:64]:
                    happened |= match_event(event.name)
                form = self._form(reading, node, flags, happened)
            if form is not None:
                found = self._of_form(form, reading, node, flags, happened)
                if found:
                    yield node, found

    def _form(self, reading: Reading, node: Node, flags: int, happened: frozenset[int]) -> _Form | None:
        span = node.span
        names = self._vocabulary.names.match(span.name)
        key = (reading.keysets[node.index], span.scope.name, span.kind.real, names, flags, happened)
        known = self._forms.get(key, _UNKNOWN)
        if known is _UNKNOWN:
            if len(self._forms) > _CACHED:
                self._forms.clear()
            form = _Form(self._signal_rules, self._shape(span, flags, happened))
            known = self._forms[key] = form if form.rules else None
        return known  # type: ignore[no-any-return]

    def _of_form(
        self, form: _Form, reading: Reading, node: Node, flags: int, happened: frozenset[int]
    ) -> tuple[_Candidate, ...]:
        """Of a form's rules those that the span's code and path leave."""
        span = node.span
        value = (
            semconv.http_status(span) if form.wants_status else None,
            semconv.grpc_status(span) if form.wants_grpc else None,
            reading.paths.get(node.index, _NOTHING_FOUND) if form.wants_path else None,
        )
        known: tuple[_Candidate, ...] | None = form.by_value.get(value)
        if known is None:
            known = form.by_value[value] = _among(form.rules, self._shape(span, flags, happened))
        return known

    def _shape(self, span: Span, flags: int, happened: frozenset[int]) -> Shape:
        names = self._vocabulary.names.match(span.name)
        shape = Shape(span.scope.name, span.kind, flags, frozenset(span.attributes), names)
        shape.events = happened
        shape.status, shape.grpc = semconv.http_status(span), semconv.grpc_status(span)
        shape.paths = self._vocabulary.paths.match(
            semconv.without_query(semconv.first_text(span.attributes, semconv.ALIASES["http.path"]))
        )
        return shape

    def hits(self, reading: Reading, node: Node) -> list[Hit]:
        """The rules that hold for the span, in the book's order; of each rule the first decision that holds."""
        return [hit for _, found in self.candidates(reading, (node,)) for hit in evaluated(found, reading, node)]

    def fitting(self, rules: Sequence[Rule], reading: Reading, node: Node) -> list[Rule]:
        """Of some rules those whose match fits the span, whatever their decisions say."""
        span = node.span
        happened = _NOTHING_FOUND.union(*(self._vocabulary.events.match(event.name) for event in span.events[:64]))
        shape = self._shape(span, conditions.flags_of(span), happened)
        return [
            rule
            for rule in rules
            if any(
                way.fits(shape) and way.needs.met(shape) and all(test(reading, node) for test in way.tests)
                for way in rule.alternatives
            )
        ]

    def status_hits(self, reading: Reading, node: Node) -> list[Hit]:
        """The rules that name a product by a status it answered; asked only of the span a verdict rests on."""
        span = node.span
        shape = self._shape(span, conditions.flags_of(span), _NOTHING_FOUND)
        return evaluated(_among(self._status_rules, shape), reading, node)


def _among(rules: Sequence[Rule], shape: Shape) -> tuple[_Candidate, ...]:
    """Of the rules those that a span of this shape can meet, each with what is left of it."""
    out = []
    for rule in rules:
        ways = [way for way in rule.alternatives if way.fits(shape) and way.needs.met(shape)]
        if not ways:
            continue
        left = [(name, c) for name, many in rule.decisions for c in many if c.needs.met(shape)]
        if left or rule.bulk:
            out.append(_Candidate(rule, ways, left))
    return tuple(out)


def evaluated(candidates: Iterable[_Candidate], reading: Reading, node: Node) -> list[Hit]:
    """Of the candidates those that hold."""
    return [hit for candidate in candidates if (hit := evaluate(candidate, reading, node)) is not None]


def evaluate(candidate: _Candidate, reading: Reading, node: Node) -> Hit | None:
    """The first decision of the rule that holds for this span; None where the rule is not about it."""
    for way in candidate.alternatives:
        if all(test(reading, node) for test in way.tests):
            keys = way.any_keys(node.span.attributes) if way.has_any else ()
            for name, condition in candidate.decisions:
                if condition.holds(reading, node, keys):
                    return Hit(candidate.rule, name, condition, keys)
            return Hit(candidate.rule, "context", _NOTHING, keys) if candidate.rule.bulk else None
    return None


_NOTHING_FOUND: frozenset[int] = frozenset()
_NOTHING = Condition()
_NOTHING.evidence = "explicit"


# ------------------------------------------------------------------------------------------------------------ reading


@functools.cache
def shipped() -> RuleBook:
    """The rules that come with Clew."""
    return _compile(_shipped_documents())


class RuleText(NamedTuple):
    """A rule file's name and text. document: what the database knows it by, where it comes from there."""

    file: str
    text: str
    document: str = ""


def files_of(folder: Path | None) -> list[RuleText]:
    """The rule files of a folder, in the order of their names. Errors: RuleError where one cannot be read."""
    return [RuleText(file.name, text_of(file)) for file in sorted(folder.glob("*.yaml"))] if folder is not None else []


def with_house_rules(folder: Path | None) -> RuleBook:
    """The shipped rules and those of a folder's *.yaml; a house rule with a shipped id replaces it, any other comes first.

    Errors: RuleError naming file and line.
    """
    return layered([files_of(folder)])


def with_files(files: Sequence[tuple[str, str]]) -> RuleBook:
    """The shipped rules and those of files given as (name, text), as with_house_rules.

    Errors: RuleError naming file and line.
    """
    return layered([[RuleText(*file) for file in files]])


def layered(layers: Sequence[Sequence[RuleText]]) -> RuleBook:
    """The shipped rules below layers of a house's own, the first of which counts most.

    Errors: RuleError naming file and line, also for an id that one layer gives twice.
    """
    house = [[_document(text) for text in layer] for layer in layers if layer]
    return _compile(_shipped_documents(), house) if house else shipped()


def checked(text: str, file: str = "rules.yaml") -> RuleBook:
    """The rules of one file alone, to try them out.

    Errors: RuleError naming file and line.
    """
    return only([RuleText(file, text)])


def only(texts: Sequence[RuleText]) -> RuleBook:
    """The rules of some texts without the shipped ones.

    Errors: RuleError naming file and line, also for an id that is given twice.
    """
    return _compile((), ([_document(text) for text in texts],))


def _document(text: RuleText) -> ruletext.Mapping:
    document = ruletext.load(text.text, text.file)
    document.file, document.document = text.file, text.document
    return document


def excerpt(rule: Rule, text: str) -> str:
    """Of the text that the rule comes from, its own lines; a comment that leads to the next rule is not among them."""
    lines = text.splitlines()
    own = lines[rule.line - 1 : rule.end]
    while own and (not own[-1].strip() or own[-1].lstrip().startswith("#")):
        own.pop()
    return "\n".join(own)


def text_of(file: Path) -> str:
    """The text of a rule file. Errors: RuleError where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(file.name, 1, f"the file cannot be read ({type(error).__name__}).") from None


@functools.cache
def _shipped_documents() -> tuple[ruletext.Mapping, ...]:
    out = []
    for family in FAMILIES:
        file = f"{family}.yaml"
        document = ruletext.load(data(file), file)
        document.file = file
        out.append(document)
    return tuple(out)


def data(file: str) -> str:
    """The text of a file in `rules/`."""
    return (resources.files("app.analysis") / "rules" / file).read_text(encoding="utf-8")


def _compile(ours: Sequence[ruletext.Mapping], layers: Sequence[Sequence[ruletext.Mapping]] = ()) -> RuleBook:
    vocabulary = Vocabulary()
    theirs: dict[str, Rule] = {}
    for layer in layers:
        for id_, rule in _of_layer(layer, vocabulary).items():
            rule.house = True
            if id_ in theirs:
                _last_of(theirs[id_]).replaces = rule
            else:
                theirs[id_] = rule
    rules: dict[str, Rule] = {}
    for id_, rule in _of_layer(ours, vocabulary).items():
        rules[id_] = theirs.pop(id_, rule)
        if rules[id_] is not rule:
            _last_of(rules[id_]).replaces = rule
    # A house's own conventions are tried before ours: it knows its services better.
    return RuleBook([*theirs.values(), *rules.values()], vocabulary)


def _of_layer(documents: Sequence[ruletext.Mapping], vocabulary: Vocabulary) -> dict[str, Rule]:
    """The rules of one layer by id. Errors: RuleError for an id that is given twice."""
    found: dict[str, Rule] = {}
    for document in documents:
        for rule in _rules(document, vocabulary):
            if rule.id in found:
                first = found[rule.id]
                place = f"line {first.line}" + (f" of {first.file}" if first.file != rule.file else "")
                raise RuleError(rule.file, rule.line, f"the id {rule.id!r} is taken by {place}.")
            rule.document = document.document
            found[rule.id] = rule
    return found


def _last_of(rule: Rule) -> Rule:
    while rule.replaces is not None:
        rule = rule.replaces
    return rule


def _rules(document: ruletext.Mapping, vocabulary: Vocabulary) -> Iterable[Rule]:
    file = document.file
    unknown = set(document) - {"rules", "about"}
    if unknown:
        raise RuleError(file, document.at(min(unknown)), f"{min(unknown)!r} does not belong in a rule file.")
    listed = document.get("rules")
    if not isinstance(listed, list):
        raise RuleError(file, document.at("rules"), "a rule file is a mapping with a list under `rules`.")
    for raw in listed:
        if not isinstance(raw, ruletext.Mapping):
            raise RuleError(file, document.at("rules"), "each rule is a mapping with an id.")
        yield _rule(raw, file, vocabulary)


def _rule(raw: ruletext.Mapping, file: str, vocabulary: Vocabulary) -> Rule:
    for key in raw:
        if key not in _KEYS:
            raise RuleError(file, raw.at(key), f"{key!r} is no field of a rule; known are {', '.join(sorted(_KEYS))}.")
    for key in ("id", "match", "layer", "phase", "decision"):
        if key not in raw:
            raise RuleError(file, raw.line, f"the rule lacks {key!r}.")
    if not _ID.fullmatch(str(raw["id"])):
        raise RuleError(file, raw.at("id"), "an id has 1 to 100 letters, digits and . _ : - only.")
    rule = Rule(str(raw["id"]), file, raw.line)
    rule.end = raw.end
    rule.system = str(raw.get("system") or "")
    rule.summary = str(raw.get("summary") or "")
    rule.note = str(raw.get("note") or "")
    rule.source = str(raw.get("source") or "")
    rule.says = _one_of(raw, "says", SAYS, file, "decision")
    rule.layer = Layer(_one_of(raw, "layer", tuple(Layer), file, ""))
    rule.phase = Phase(_one_of(raw, "phase", tuple(Phase), file, ""))
    rule.layer_by = _one_of(raw, "layer_by", ("", *LAYER_BY), file, "")
    rule.decider = _one_of(raw, "decider", DECIDERS, file, "self")
    rule.confidence = _one_of(raw, "confidence", _CONFIDENCE, file, "inferred")
    rule.bulk = raw.get("bulk") is True
    if "capture" in raw:
        rule.capture = patterns.compile(str(raw["capture"]), file, raw.at("capture"))
    rule.reason_from = tuple(str(item) for item in _listed(raw, "reason_from", file))
    overrides = raw.get("layer_overrides") or {}
    if not isinstance(overrides, Mapping):
        raise RuleError(file, raw.at("layer_overrides"), "layer_overrides maps the end of a span's name to a layer.")
    rule.layer_overrides = {name: Layer(_one_of(overrides, name, tuple(Layer), file, "")) for name in overrides}
    rule.alternatives = tuple(_alternatives(raw["match"], file, raw.at("match"), vocabulary))
    rule.decisions = _decisions(raw, file, vocabulary, has_any=any(way.has_any for way in rule.alternatives))
    return rule


def _one_of(raw: Any, key: str, allowed: Sequence[str], file: str, default: str) -> str:
    value = raw.get(key, default)
    if value not in allowed:
        raise RuleError(file, raw.at(key), f"{key} is one of {', '.join(filter(None, allowed))}.")
    return str(value)


def _listed(raw: ruletext.Mapping, key: str, file: str) -> list[Any]:
    value = raw.get(key, [])
    if not isinstance(value, list):
        raise RuleError(file, raw.at(key), f"{key} is a list.")
    return value


def _alternatives(raw: object, file: str, line: int, vocabulary: Vocabulary) -> Iterable[Alternative]:
    """The ways of a match: one, or with `any` one per entry, each with what stands beside `any` added."""
    if not isinstance(raw, ruletext.Mapping) or not raw:
        raise RuleError(file, line, "match is a mapping such as {scope: ..., span_name: ...}.")
    for key in raw:
        if key not in _MATCH:
            raise RuleError(file, raw.at(key), f"{key!r} is no part of a match; known are {', '.join(sorted(_MATCH))}.")
    if "any" not in raw:
        yield _alternative((raw,), file, line, vocabulary)
        return
    entries = _listed(raw, "any", file)
    if not entries or not all(isinstance(entry, ruletext.Mapping) for entry in entries):
        raise RuleError(file, raw.at("any"), "any is a list of mappings.")
    for entry in entries:
        for key in entry:
            if key not in _MATCH - {"any"}:
                raise RuleError(file, entry.at(key), f"{key!r} is no part of a match.")
        yield _alternative((raw, entry), file, entry.line, vocabulary)


def _alternative(parts: Sequence[ruletext.Mapping], file: str, line: int, vocabulary: Vocabulary) -> Alternative:
    way = Alternative()
    made = Condition()
    for raw in parts:
        if "scope" in raw:
            text = str(raw["scope"])
            way.scope = patterns.compile(text[3:], file, raw.at("scope")) if text.startswith("re:") else text
        if "span_name" in raw:
            way.name = vocabulary.names.add(str(raw["span_name"]), file, raw.at("span_name"))
        if "kind" in raw:
            way.kinds = conditions.kinds(raw["kind"], file, raw.at("kind"))
        if "attributes" in raw:
            conditions.attributes(made, raw["attributes"], file, raw.at("attributes"), vocabulary)
        if "any_attribute" in raw:
            exact, regular = _key_tests(_listed(raw, "any_attribute", file), file, raw.at("any_attribute"))
            way.any_exact, way.any_patterns = way.any_exact | exact, (*way.any_patterns, *regular)
        if "without" in raw:
            exact, regular = _key_tests(_listed(raw, "without", file), file, raw.at("without"))
            way.without, way.without_patterns = way.without | exact, (*way.without_patterns, *regular)
        for key, build in (("any_value", "any_value"), ("words", "words"), ("event_attributes", "event_attr")):
            if key in raw:
                conditions.BUILDERS[build](made, raw[key], file, raw.at(key), vocabulary)
        for event in _listed(raw, "events", file):
            conditions.BUILDERS["event"](made, event, file, raw.at("events"), vocabulary)
        if "resource" in raw:
            made.tests.append(_resource_test(raw["resource"], file, raw.at("resource")))
    way.needs, way.tests = made.needs, made.tests
    if way.scope is None and way.name < 0 and not way.has_any and not way.tests and way.kinds is None:
        raise RuleError(file, line, "the match is empty: it would hold for every span.")
    return way


def _key_tests(items: Sequence[Any], file: str, line: int) -> tuple[frozenset[str], tuple[Any, ...]]:
    exact = frozenset(key for item in items if not str(item).startswith("re:") for key in conditions.keys_of(str(item)))
    regular = tuple(patterns.compile(str(item)[3:], file, line) for item in items if str(item).startswith("re:"))
    return exact, regular


def _resource_test(raw: object, file: str, line: int) -> Test:
    if not isinstance(raw, ruletext.Mapping) or not raw:
        raise RuleError(file, line, "resource is a mapping from attribute to value.")
    tests = [(key, conditions.value_test(value, file, raw.at(key))) for key, value in raw.items()]

    def holds(_: Reading, node: Node) -> bool:
        attributes = node.span.resource.attributes
        return all(key in attributes and test(attributes[key]) for key, test in tests)

    return holds


def _decisions(
    raw: ruletext.Mapping, file: str, vocabulary: Vocabulary, *, has_any: bool
) -> tuple[tuple[str, tuple[Condition, ...]], ...]:
    decisions = raw["decision"]
    if not isinstance(decisions, ruletext.Mapping):
        raise RuleError(file, raw.at("decision"), "decision maps allow, deny, error and so on to lists of conditions.")
    out = []
    for name, many in decisions.items():
        line = decisions.at(name)
        if name not in DECISIONS:
            raise RuleError(file, line, f"{name!r} is no decision; known are {', '.join(DECISIONS)}.")
        if not isinstance(many, list) or not many:
            raise RuleError(file, line, f"{name} is a list of conditions.")
        out.append((name, tuple(conditions.condition(item, file, line, vocabulary, has_any=has_any) for item in many)))
    return tuple(out)
