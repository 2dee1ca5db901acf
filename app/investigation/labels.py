"""Which attribute of a span an alert's label speaks of: the shipped map, and a house's own on top of it.

A file that does not say what it means is refused as a whole, with the line: a label quietly left out would widen every
search built from it.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from app.errors import InvalidInput
from app.investigation.entities import Entity, EntityKind

SHIPPED = Path(__file__).with_name("labels.yaml")
_MAX_FILE = 1_000_000

_ATTRIBUTE = re.compile(r"(span|resource|event|link|instrumentation)\.[A-Za-z_][A-Za-z0-9_./-]{0,200}")
_INTRINSICS = frozenset({"name", "kind", "status", "statusMessage", "rootName", "rootServiceName"})
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:/-]{0,200}")
_SUFFIX = re.compile(r"_(?:total|bucket|sum|count)\Z")
_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]{0,200}")


class Compare(enum.StrEnum):
    """How a label's value is held against an attribute."""

    EQUAL = "equal"
    NUMBER = "number"  # the attribute may be an integer or a string of digits
    ADDRESS = "address"  # a port, brackets and ::ffff: do not matter
    SUBNET = "subnet"  # the subnet itself, or an address in it
    PREFIX = "prefix"  # the attribute begins with it: buckets of a hash
    KIND = "kind"  # SPAN_KIND_SERVER is `server`
    STATUS = "status"  # STATUS_CODE_ERROR is `error`


class Meaning(msgspec.Struct, frozen=True):
    """What one label speaks of.

    attributes: TraceQL names, the current spelling first.
    addresses:  SUBNET only: attributes that hold single addresses.
    outcome:    the label tells how a check ended, not who asked for what.
    """

    label: str
    attributes: tuple[str, ...]
    compare: Compare = Compare.EQUAL
    addresses: tuple[str, ...] = ()
    entity: EntityKind | None = None
    outcome: bool = False


class Metric(msgspec.Struct, frozen=True):
    """Which spans a metric counts: those that speak of auth, or those that labels it does not carry would describe."""

    auth_spans: bool = False
    implies: Mapping[str, str] = {}


class Counter(msgspec.Struct, frozen=True):
    """A counter over all requests, and which values of its `outcome` label mean that they got through or did not.

    labels: those it has besides `outcome`.
    """

    metric: str
    labels: tuple[str, ...]
    outcome: str
    allowed: str
    refused: str


class LabelMap(msgspec.Struct, frozen=True):
    """`meanings` by label; `ignored` are labels known to say nothing about a request."""

    meanings: Mapping[str, Meaning]
    ignored: frozenset[str]
    counters: tuple[Counter, ...]
    metrics: Mapping[str, Metric]

    def metric(self, name: str) -> Metric | None:
        """What is known of a metric, by its name with or without a counter's or histogram's suffix."""
        return self.metrics.get(_SUFFIX.sub("", name)) or self.metrics.get(name)

    def meaning(self, label: str) -> Meaning | None:
        return self.meanings.get(label)

    def unknown(self, labels: Iterable[str]) -> list[str]:
        """Labels that the map neither explains nor ignores, in order."""
        return [label for label in labels if label not in self.meanings and label not in self.ignored]

    def entities(self, labels: Mapping[str, str]) -> tuple[Entity, ...]:
        """What the labels name, in the labels' order; empty values name nothing."""
        found = []
        for label, value in labels.items():
            meaning = self.meanings.get(label)
            if meaning and meaning.entity and value.strip():
                found.append(Entity(meaning.entity, value, label))
        return tuple(found)


def load(house: Path | None = None) -> LabelMap:
    """The shipped map with a house's entries on top: a label given again is replaced, lists grow.

    Errors: InvalidInput names file and line.
    """
    shipped = parse(SHIPPED.read_text(encoding="utf-8"), SHIPPED.name)
    if house is None:
        return shipped
    try:
        text = house.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"The labels file {house} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    own = parse(text, str(house))
    return LabelMap(
        meanings={**{k: v for k, v in shipped.meanings.items() if k not in own.ignored}, **own.meanings},
        # A label that the house explains is no longer ignored.
        ignored=(shipped.ignored | own.ignored) - own.meanings.keys(),
        counters=tuple({counter.metric: counter for counter in (*shipped.counters, *own.counters)}.values()),
        metrics={**shipped.metrics, **own.metrics},
    )


def parse(text: str, name: str) -> LabelMap:
    """One file's map. `name` is how messages call it.

    Errors: InvalidInput with the line.
    """
    if len(text) > _MAX_FILE:
        raise InvalidInput(f"{name} is larger than 1 MB; that is no labels file.")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidInput(f"{name}, line {line}: {error.problem or 'this is not YAML'}.") from None
    except yaml.YAMLError:
        raise InvalidInput(f"{name} holds characters that YAML does not allow.") from None
    return _Reader(name).file(root)


class _Reader:
    """Nodes to values; every complaint knows its line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def file(self, root: Node | None) -> LabelMap:
        meanings: dict[str, Meaning] = {}
        ignored: list[str] = []
        counters: list[Counter] = []
        metrics: dict[str, Metric] = {}
        for key, node in self._entries(root, "the file") if root is not None else ():
            match key.value:
                case "labels":
                    for label, body in self._entries(node, "labels"):
                        meanings[label.value] = self._meaning(label, body)
                case "ignore":
                    ignored = [self._word(item, _LABEL, "a label's name") for item in self._items(node, "ignore")]
                case "counters":
                    counters = [self._counter(item) for item in self._items(node, "counters")]
                case "metrics":
                    for name, body in self._entries(node, "metrics"):
                        metrics[self._word(name, _METRIC, "a metric's name")] = self._metric(body)
                case other:
                    raise self._wrong(key, f"{other!r} is not known here; use labels, ignore, metrics or counters")
        for both in ignored:
            if both in meanings:
                raise InvalidInput(f"{self.name}: {both!r} is both explained and ignored.")
        return LabelMap(meanings=meanings, ignored=frozenset(ignored), counters=tuple(counters), metrics=metrics)

    def _meaning(self, label: ScalarNode, body: Node) -> Meaning:
        self._word(label, _LABEL, "a label's name")
        given: dict[str, Node] = {}
        for key, node in self._entries(body, f"label {label.value}"):
            if key.value not in ("attributes", "addresses", "compare", "entity", "outcome"):
                raise self._wrong(key, f"{key.value!r} is not known here; use attributes, compare, addresses, entity, outcome")
            given[key.value] = node
        if "attributes" not in given:
            raise self._wrong(label, f"label {label.value!r} names no attributes")
        compare = Compare(self._choice(given["compare"], Compare)) if "compare" in given else Compare.EQUAL
        if ("addresses" in given) and compare is not Compare.SUBNET:
            raise self._wrong(given["addresses"], "addresses belong to `compare: subnet` only")
        return Meaning(
            label=label.value,
            attributes=self._attributes(given["attributes"]),
            compare=compare,
            addresses=self._attributes(given["addresses"]) if "addresses" in given else (),
            entity=EntityKind(self._choice(given["entity"], EntityKind)) if "entity" in given else None,
            outcome="outcome" in given and self._flag(given["outcome"]),
        )

    def _attributes(self, node: Node) -> tuple[str, ...]:
        names = []
        for item in self._items(node, "attributes"):
            if not isinstance(item, ScalarNode) or not (item.value in _INTRINSICS or _ATTRIBUTE.fullmatch(item.value)):
                raise self._wrong(
                    item, "an attribute is written with its scope, such as span.auth.result or resource.service.name"
                )
            names.append(item.value)
        if not names:
            raise self._wrong(node, "at least one attribute is needed")
        return tuple(names)

    def _counter(self, node: Node) -> Counter:
        given = {key.value: value for key, value in self._entries(node, "a counter")}
        if set(given) != {"metric", "labels", "outcome", "allowed", "refused"}:
            raise self._wrong(node, "a counter has exactly metric, labels, outcome, allowed and refused")
        return Counter(
            metric=self._word(given["metric"], _METRIC, "a metric's name"),
            labels=tuple(self._word(item, _LABEL, "a label's name") for item in self._items(given["labels"], "labels")),
            outcome=self._word(given["outcome"], _LABEL, "a label's name"),
            allowed=self._text(given["allowed"]),
            refused=self._text(given["refused"]),
        )

    def _metric(self, node: Node) -> Metric:
        given = {}
        for key, value in self._entries(node, "a metric"):
            if key.value not in ("auth_spans", "implies"):
                raise self._wrong(key, f"{key.value!r} is not known here; use auth_spans or implies")
            given[key.value] = value
        implied = self._entries(given["implies"], "implies") if "implies" in given else ()
        return Metric(
            auth_spans="auth_spans" in given and self._flag(given["auth_spans"]),
            implies={self._word(label, _LABEL, "a label's name"): self._text(value) for label, value in implied},
        )

    def _entries(self, node: Node | None, what: str) -> Iterator[tuple[ScalarNode, Node]]:
        if not isinstance(node, MappingNode):
            raise self._wrong(node, f"{what} must be a mapping of names to values")
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                raise self._wrong(key, "a name is expected here")
            if key.value in seen:
                raise self._wrong(key, f"{key.value!r} stands here twice")
            seen.add(key.value)
            yield key, value

    def _items(self, node: Node, what: str) -> list[Node]:
        if not isinstance(node, SequenceNode):
            raise self._wrong(node, f"{what} must be a list")
        return list(node.value)

    def _text(self, node: Node) -> str:
        if not isinstance(node, ScalarNode) or not node.value:
            raise self._wrong(node, "a word is expected here")
        return str(node.value)

    def _word(self, node: Node, form: re.Pattern[str], what: str) -> str:
        text = self._text(node)
        if not form.fullmatch(text):
            raise self._wrong(node, f"{text[:60]!r} is not {what}")
        return text

    def _choice(self, node: Node, kinds: type[enum.StrEnum]) -> str:
        text = self._text(node)
        if text not in list(kinds):
            raise self._wrong(node, f"{text[:60]!r} is none of {', '.join(kinds)}")
        return text

    def _flag(self, node: Node) -> bool:
        text = self._text(node).lower()
        if text not in ("true", "false"):
            raise self._wrong(node, "true or false is expected here")
        return text == "true"

    def _wrong(self, node: Node | None, what: str) -> InvalidInput:
        line = node.start_mark.line + 1 if node is not None else 1
        return InvalidInput(f"{self.name}, line {line}: {what}.")
