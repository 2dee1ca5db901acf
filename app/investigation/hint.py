"""A rule's own `trace_query` annotation as a query tree: what its author says one should look for.

The annotation is a template: Prometheus pastes label values into it. Pasting lets a value become syntax, so the template
is parsed first, with a word of ours in each place, and the values are then put into the tree: as text where the place
stood in a string, escaped where that string is a regex.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.investigation import conditions, gotemplate
from app.investigation.gotemplate import OfLabel, OfValue
from app.traceql import nodes, parse
from app.traceql.lexer import TraceQLError

ANNOTATION = "trace_query"
_OUTSIDE = "The rule's trace_query puts a label outside a string, where it could become syntax."
_HOLE = "clewhole{}x"
_HOLES = re.compile(r"clewhole(\d+)x", re.ASCII)


class NotUsable(Exception):
    """The hint cannot be used; the text says why, as a sentence."""


def of_template(template: str, labels: Mapping[str, str], value: float | None) -> nodes.Query:
    """The search that a rule's template asks for, filled with one alert's labels; a metrics part is left off.

    Errors: NotUsable.
    """
    places = gotemplate.parts(template)
    if places is None:
        raise NotUsable("The rule's trace_query uses a template form that Clew does not read.")
    text: list[str] = []
    holes: list[str] = []
    for place in places:
        if isinstance(place, str):
            text.append(place)
        elif isinstance(place, OfValue):
            text.append(_number(place, value))
        else:
            text.append(_HOLE.format(len(holes)))
            holes.append(_word(place, labels))
    query = _parsed("".join(text))
    filled, seen = _fill(query.pipeline, holes)
    if seen != set(range(len(holes))):
        raise NotUsable(_OUTSIDE)
    return nodes.Query(filled)


def of_text(text: str, labels: Mapping[str, str]) -> nodes.Query:
    """The search of an annotation that somebody else has filled already, where the rule itself is not to be had.

    Errors: NotUsable; also where a label's value holds characters with which it could have changed the query.
    """
    if any(char in value for value in labels.values() for char in '"\\`{}'):
        raise NotUsable("The alert's trace_query was not used: a label holds characters that could have changed it.")
    return nodes.Query(_parsed(text).pipeline)


def _parsed(text: str) -> nodes.Query:
    try:
        return parse.parse(text)
    except TraceQLError as error:
        if _HOLES.search(error.sentence):
            raise NotUsable(_OUTSIDE) from None
        raise NotUsable(f"The rule's trace_query is not valid TraceQL: {error.sentence}") from None


def _number(place: OfValue, value: float | None) -> str:
    if value is None or not math.isfinite(value):
        raise NotUsable("The rule's trace_query needs the alert's value, which is not known any more.")
    text = gotemplate.filled(place, {}, value)
    # Formatted or not, a value is digits: in a string or as a number it cannot become syntax.
    if text is None or any(char not in "0123456789.eE+-%kMGTPmunsdh " for char in text):
        raise NotUsable("The rule's trace_query formats its value in a way that Clew does not read.")
    return text


def _word(place: OfLabel, labels: Mapping[str, str]) -> str:
    text = gotemplate.filled(place, labels, None)
    if text is None:
        raise NotUsable("The rule's trace_query uses a template form that Clew does not read.")
    return text


def _fill(tree: Any, holes: Sequence[str]) -> tuple[Any, set[int]]:
    """The tree with every hole in a string literal filled, and the holes met. As deep as the parser lets a query be."""
    seen: set[int] = set()

    def put(text: str, escape: Callable[[str], str]) -> str:
        def one(hole: re.Match[str]) -> str:
            number = int(hole[1])
            if number >= len(holes):
                return hole[0]
            seen.add(number)
            return escape(holes[number])

        return _HOLES.sub(one, text)

    def walk(node: Any, escape: Callable[[str], str]) -> Any:
        if isinstance(node, nodes.Literal):
            return nodes.Literal(put(node.value, escape)) if isinstance(node.value, str) else node
        if isinstance(node, tuple):
            return tuple(walk(item, escape) for item in node)
        if dataclasses.is_dataclass(node) and not isinstance(node, type):
            inner = conditions.literal if isinstance(node, nodes.Binary) and node.op in nodes.REGEX else escape
            return dataclasses.replace(node, **{f.name: walk(getattr(node, f.name), inner) for f in dataclasses.fields(node)})
        return node

    return walk(tree, lambda value: value), seen
