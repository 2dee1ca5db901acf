"""Conditions of signal rules: text in a rule file becomes a test on a span, with what it needs to be worth trying.

Every test is fast to refuse: `Needs` says which attribute keys, events or status a span must have before any value is
looked at, so that a rule costs nothing on the spans it is not about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from app.analysis import patterns, structure
from app.analysis.patterns import Vocabulary
from app.analysis.ruletext import Mapping, RuleError
from app.analysis.verdict import Layer, Phase
from app.traces import semconv
from app.traces.model import Node, Span, SpanKind, Status

if TYPE_CHECKING:
    from app.analysis.reading import Reading

Test = Callable[["Reading", Node], bool]

# What a span must have: bits of `flags_of`.
ERROR, EVENTS, MESSAGE, EXCEPTION = 1, 2, 4, 8

_SHORT, _CACHED = 64, 1024  # texts whose answer is remembered: their length, their number

EVIDENCE = ("explicit", "code", "structure", "protocol", "words")


class Shape:
    """What can be known of a span without comparing values one by one. Spans of one shape have the same candidates.

    names, paths, events: indexes of the patterns of the vocabulary that were found.
    status, grpc:         the answer's codes, None where the span has none.
    """

    __slots__ = ("events", "flags", "grpc", "keys", "kind", "names", "paths", "scope", "status")

    def __init__(self, scope: str, kind: SpanKind, flags: int, keys: frozenset[str], names: frozenset[int]) -> None:
        self.scope = scope
        self.kind = kind
        self.flags = flags
        self.keys = keys
        self.names = names
        self.paths: frozenset[int] = frozenset()
        self.events: frozenset[int] = frozenset()
        self.status: int | None = None
        self.grpc: int | None = None


class Needs:
    """What a span must have before a condition is worth trying.

    keys:  groups of attribute keys; of each group one must be present.
    flags: of ERROR, EVENTS, MESSAGE and EXCEPTION at least one (0: none needed).
    """

    __slots__ = ("events", "flags", "grpc", "keys", "not_error", "paths", "status")

    def __init__(self) -> None:
        self.keys: list[frozenset[str]] = []
        self.flags = 0
        self.not_error = False
        self.paths: list[int] = []
        self.events: list[int] = []
        self.status: set[int] | None = None
        self.grpc: set[int] | None = None

    def may(self, shape: Shape) -> bool:
        """Whether a span with these keys and flags may meet the needs; its codes and texts are not known yet."""
        if self.flags and not shape.flags & self.flags:
            return False
        if self.not_error and shape.flags & ERROR:
            return False
        return all(group & shape.keys for group in self.keys)

    def met(self, shape: Shape) -> bool:
        """Whether a span of this shape meets the needs."""
        return (
            (self.status is None or shape.status in self.status)
            and (self.grpc is None or shape.grpc in self.grpc)
            and all(index in shape.paths for index in self.paths)
            and all(index in shape.events for index in self.events)
            and self.may(shape)
        )


class Condition:
    """One way in which a decision may be read off a span; all its tests must hold.

    phase, layer, evidence: where given, they replace the rule's own for this way.
    of_value: a test on the value of the attribute that made the rule match, or None.
    """

    __slots__ = ("evidence", "layer", "needs", "of_value", "phase", "tests")

    def __init__(self) -> None:
        self.tests: list[Test] = []
        self.needs = Needs()
        self.phase: Phase | None = None
        self.layer: Layer | None = None
        self.evidence = ""
        self.of_value: Callable[[object], bool] | None = None

    def holds(self, reading: Reading, node: Node, keys: Iterable[str]) -> bool:
        if self.of_value is not None:
            attributes = node.span.attributes
            if not any(self.of_value(attributes[key]) for key in keys):
                return False
        return all(test(reading, node) for test in self.tests)


def flags_of(span: Span) -> int:
    """The bits of ERROR, EVENTS, MESSAGE and EXCEPTION that a span has."""
    flags = ERROR if span.status == Status.ERROR else 0
    if span.status_message:
        flags |= MESSAGE
    if semconv.EXCEPTION_MESSAGE in span.attributes or semconv.EXCEPTION_TYPE in span.attributes:
        flags |= EXCEPTION
    if span.events:
        flags |= EVENTS
        for event in span.events:
            if event.name == semconv.EXCEPTION or semconv.EXCEPTION_TYPE in event.attributes:
                return flags | EXCEPTION
    return flags


# ------------------------------------------------------------------------------------------------------------- values


def value_test(wanted: object, file: str, line: int) -> Callable[[object], bool]:
    """A test on an attribute's value: "*" (there is one), "re:..." (RE2, anywhere in it), a list of texts, or a text."""
    if isinstance(wanted, list):
        tests = [value_test(item, file, line) for item in wanted]
        return lambda value: any(test(value) for test in tests)
    if wanted == "*":
        return lambda value: semconv.text(value) != ""
    text = semconv.text(wanted)
    if text.startswith("re:"):
        search = patterns.compile(text[3:], file, line).search
        known: dict[str, bool] = {}  # decisions and codes are few words, met again and again

        def found(item: str) -> bool:
            answer = known.get(item)
            if answer is None:
                if len(known) > _CACHED or len(item) > _SHORT:
                    return search(item[:4096]) is not None
                answer = known[item] = search(item) is not None
            return answer

        return lambda value: any(found(item) for item in _texts(value))
    return lambda value: any(item == text for item in _texts(value))


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, list):
        return [semconv.text(item) for item in value[:64]]
    return (semconv.text(value),)


def keys_of(name: str) -> tuple[str, ...]:
    """The keys an attribute name in a rule stands for: an alias's list, else itself."""
    return semconv.ALIASES.get(name, (name,))


# --------------------------------------------------------------------------------------------------------- conditions

_EXTRAS = {"phase", "layer", "evidence"}


def condition(raw: object, file: str, line: int, vocabulary: Vocabulary, *, has_any: bool) -> Condition:
    """The condition that a rule file's mapping describes.

    Errors: RuleError with the line of what is wrong.
    """
    if not isinstance(raw, Mapping) or not raw:
        raise RuleError(file, line, "a condition is a mapping such as {attr: {auth.result: failure}}.")
    made = Condition()
    for key, value in raw.items():
        at = raw.at(key)
        if key in _EXTRAS:
            continue
        build = BUILDERS.get(key)
        if build is None:
            known = ", ".join(sorted((*BUILDERS, "attr_value", *_EXTRAS)))
            if key != "attr_value":
                raise RuleError(file, at, f"{key!r} is no condition; known are {known}.")
            if not has_any:
                raise RuleError(file, at, "attr_value needs any_attribute in the rule's match.")
            made.of_value = value_test(value, file, at)
            continue
        build(made, value, file, at, vocabulary)
    if not made.tests and made.of_value is None:
        raise RuleError(file, line, "a condition needs at least one test.")
    made.phase = _word(raw, "phase", Phase, file)
    made.layer = _word(raw, "layer", Layer, file)
    made.evidence = str(raw.get("evidence") or _evidence(raw))
    if made.evidence not in EVIDENCE:
        raise RuleError(file, raw.at("evidence"), f"evidence is one of {', '.join(EVIDENCE)}.")
    return made


def _word(raw: Mapping, key: str, kind: Any, file: str) -> Any:
    if key not in raw:
        return None
    try:
        return kind(raw[key])
    except ValueError:
        raise RuleError(file, raw.at(key), f"{key} is one of {', '.join(kind)}.") from None


def _evidence(raw: Mapping) -> str:
    """How good a proof the condition is, by what it reads, unless the rule says so itself."""
    keys = set(raw)
    if "structure" in keys and not keys & {"exception", "event", "event_attr"}:
        return "structure"
    if keys & {"attr", "attr_value", "event", "event_attr", "exception"}:
        return "explicit"
    if keys & {"message", "exception_message", "words", "any_value"}:
        return "words"
    if keys & {"http_status", "grpc_status"}:
        return "protocol"
    return "structure"


def attributes(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    if not isinstance(value, Mapping) or not value:
        raise RuleError(file, line, "attr is a mapping from attribute to value.")
    for name, wanted in value.items():
        keys = keys_of(name)
        made.needs.keys.append(frozenset(keys))
        if name == "http.path" and isinstance(wanted, str) and wanted.startswith("re:"):
            # Paths are asked of every call, so all rules' patterns are searched for in one pass.
            made.needs.paths.append(vocabulary.paths.add(wanted[3:], file, value.at(name)))
            made.tests.append(_always)
        else:
            made.tests.append(_attr_test(keys, value_test(wanted, file, value.at(name))))


def _always(_: Reading, __: Node) -> bool:
    """Holds for every span of the right shape."""
    return True


def _attr_test(keys: tuple[str, ...], test: Callable[[object], bool]) -> Test:
    def holds(_: Reading, node: Node) -> bool:
        value = semconv.first(node.span.attributes, keys)
        return value is not None and test(value)

    return holds


def _http_status(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    wanted = _numbers(value, file, line)
    made.needs.keys.append(frozenset((*semconv.HTTP_STATUS, "status")))
    made.needs.status = wanted
    made.tests.append(_always)


def _grpc_status(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    names = value if isinstance(value, list) else [value]
    if not all(name in semconv.GRPC_NAMES for name in names):
        raise RuleError(file, line, f"grpc_status is a list of {', '.join(semconv.GRPC_NAMES)}.")
    wanted = {semconv.GRPC_NAMES.index(name) for name in names}
    made.needs.keys.append(frozenset(semconv.ALIASES["rpc.status"]))
    made.needs.grpc = wanted
    made.tests.append(_always)


def _numbers(value: object, file: str, line: int) -> set[int]:
    try:
        return {int(str(item)) for item in (value if isinstance(value, list) else [value])}
    except (TypeError, ValueError):
        raise RuleError(file, line, "http_status is a list of numbers.") from None


def _status(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    if str(value) not in Status.__members__:
        raise RuleError(file, line, "status is UNSET, OK or ERROR.")
    wanted = Status[str(value)]
    if wanted is Status.ERROR:
        made.needs.flags |= ERROR
    else:
        made.needs.not_error = True
    made.tests.append(lambda _, node: node.span.status is wanted)


def _message(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    search = patterns.compile(str(value), file, line).search
    made.needs.flags |= MESSAGE
    made.tests.append(lambda _, node: search(node.span.status_message[:4096]) is not None)


def _event(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    made.needs.flags |= EVENTS
    made.needs.events.append(vocabulary.events.add(str(value), file, line))
    made.tests.append(_always)


def _event_attr(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    if not isinstance(value, Mapping) or not value:
        raise RuleError(file, line, "event_attr is a mapping from attribute to value.")
    tests = [(name, value_test(wanted, file, value.at(name))) for name, wanted in value.items()]
    made.needs.flags |= EVENTS
    made.tests.append(
        lambda _, node: any(
            all(name in event.attributes and test(event.attributes[name]) for name, test in tests) for event in node.span.events
        )
    )


def _exception(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    search = patterns.compile(str(value), file, line).search
    made.needs.flags |= EXCEPTION
    made.tests.append(lambda _, node: any(search(kind[:256]) for kind, _text in semconv.exceptions(node.span)))


def _exception_message(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    search = patterns.compile(str(value), file, line).search
    made.needs.flags |= EXCEPTION
    made.tests.append(lambda _, node: any(search(text[:4096]) for _kind, text in semconv.exceptions(node.span)))


def _trouble(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    index = vocabulary.words.add(str(value), file, line)
    made.needs.flags |= EXCEPTION | MESSAGE
    made.tests.append(lambda reading, node: index in vocabulary.words.match(reading.trouble(node)))


def _any_value(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    search = patterns.compile(str(value), file, line).search

    def holds(reading: Reading, node: Node) -> bool:
        for key, item in node.span.attributes.items():
            if isinstance(item, str) and len(item) > 3 and not semconv.is_clients(key) and search(item[:4096]):
                return True
        return search(reading.trouble(node)) is not None

    made.tests.append(holds)


def _missing(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    if not isinstance(value, list):
        raise RuleError(file, line, "missing is a list of attribute keys.")
    absent = frozenset(key for name in value for key in keys_of(str(name)))
    made.tests.append(lambda _, node: not any(semconv.text(node.span.attributes.get(key)) for key in absent))


def _structure(made: Condition, value: object, file: str, line: int, vocabulary: Vocabulary) -> None:
    names = value if isinstance(value, list) else [value]
    for name in names:
        predicate = structure.PREDICATES.get(str(name))
        if predicate is None:
            raise RuleError(file, line, f"{name!r} is no structure; known are {', '.join(sorted(structure.PREDICATES))}.")
        made.tests.append(predicate)


BUILDERS: dict[str, Callable[[Condition, object, str, int, Vocabulary], None]] = {
    "attr": attributes,
    "http_status": _http_status,
    "grpc_status": _grpc_status,
    "status": _status,
    "message": _message,
    "event": _event,
    "event_attr": _event_attr,
    "exception": _exception,
    "exception_message": _exception_message,
    "words": _trouble,
    "any_value": _any_value,
    "missing": _missing,
    "structure": _structure,
}


def kinds(value: object, file: str, line: int) -> frozenset[SpanKind]:
    names = value if isinstance(value, list) else [value]
    try:
        return frozenset(SpanKind[str(name)] for name in names)
    except KeyError:
        raise RuleError(file, line, "kind is a list of SERVER, CLIENT, INTERNAL, PRODUCER, CONSUMER.") from None
