"""What a PromQL expression looks at: its selectors, the threshold it compares with, how far back it reaches.

A small careful reader, not a parser: it walks the tokens once and knows selectors (`metric{label="x"}[5m] offset 1h`),
set operators, comparisons and grouping clauses. Where an expression is beyond it, it says so and claims nothing.

Shape: any text up to 64 KiB; linear time, no recursion.
Errors: none. `Reading.problem` is a sentence where the text could not be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from app.errors import InvalidInput
from app.sources.promql import quote
from app.times import Nanos, parse_duration

_MAX_TEXT = 65_536
_MAX_NESTING = 50


class Matcher(msgspec.Struct, frozen=True):
    label: str
    operator: str  # = != =~ !~
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{quote(self.value)}"


class Selector(msgspec.Struct, frozen=True):
    """One place where the expression reads series. `metric` is "" where only matchers name it."""

    metric: str
    matchers: tuple[Matcher, ...]
    range_ns: Nanos = Nanos(0)
    offset_ns: Nanos = Nanos(0)

    @property
    def reach_ns(self) -> int:
        """How long before an evaluation the oldest sample it uses may lie."""
        return self.range_ns + max(0, self.offset_ns)


class Threshold(msgspec.Struct, frozen=True):
    operator: str  # > >= < <= == !=
    value: float


class Reading(msgspec.Struct, frozen=True):
    """What was read of an expression.

    subject:   the part whose value is measured: left of the comparison, first operand of `and`/`unless`; the whole
               expression where it has no such part.
    threshold: what the subject is compared with, None where that is no constant.
    selectors: those that the subject's value is made of.
    others:    those of the rest: conditions after `and` and `unless`, other sides of comparisons.
    problem:   "" or why nothing could be read; then everything else is empty.
    """

    expression: str
    subject: str = ""
    threshold: Threshold | None = None
    selectors: tuple[Selector, ...] = ()
    others: tuple[Selector, ...] = ()
    problem: str = ""


def read(expression: str) -> Reading:
    """What the expression looks at."""
    if len(expression) > _MAX_TEXT:
        return Reading(expression="", problem="The rule's expression is longer than 64 KiB and was not read.")
    try:
        tokens = _tokens(expression)
        subject, threshold = _subject(tokens)
        if not subject:
            raise _Unreadable("it compares nothing")
        measured = _selectors(_unconditional(subject))
        everything = _selectors(tokens)
        return Reading(
            expression=expression,
            subject=_text(expression, subject),
            threshold=threshold,
            selectors=tuple(place.selector for place in measured),
            others=tuple(place.selector for place in everything if place not in measured),
        )
    except _Unreadable as problem:
        return Reading(expression=expression, problem=f"The rule's expression could not be read: {problem}.")


def reach_ns(selectors: Sequence[Selector], recorded: Callable[[str], str | None], *, depth: int = 4) -> int:
    """How far back the selectors reach, through recording rules: `recorded` gives the expression behind a metric's name."""
    farthest = 0
    waiting = [(selector, 0, depth) for selector in selectors]
    budget = 200  # recording rules may name each other in circles and in fans
    while waiting and budget:
        budget -= 1
        selector, already, left = waiting.pop()
        reached = already + selector.reach_ns
        farthest = max(farthest, reached)
        behind = recorded(selector.metric) if left and selector.metric else None
        if behind:
            waiting += [(deeper, reached, left - 1) for deeper in read(behind).selectors]
    return farthest


def underlying(selectors: Sequence[Selector], recorded: Callable[[str], str | None], *, depth: int = 4) -> list[Selector]:
    """The selectors of raw series behind `selectors`: recorded metrics are replaced by what their rules read, carrying the
    matchers they were asked with. A recording rule keeps or drops labels, it does not rename them as a rule; matchers on a
    label that it adds itself are the caller's to judge."""
    found: list[Selector] = []
    waiting = [(selector, depth) for selector in reversed(selectors)]
    budget = 200
    while waiting and budget:
        budget -= 1
        selector, left = waiting.pop()
        behind = recorded(selector.metric) if left and selector.metric else None
        deeper = read(behind).selectors if behind else ()
        if not deeper:
            found.append(selector)
        for inner in reversed(deeper):
            merged = tuple(dict.fromkeys((*inner.matchers, *selector.matchers)))
            waiting.append((Selector(inner.metric, merged, inner.range_ns, inner.offset_ns), left - 1))
    return list(dict.fromkeys(found))


def narrow(expression: str, labels: Mapping[str, str]) -> str | None:
    """The expression with `label="value"` added to every selector, for those labels that provably survive from every
    selector to the result; None where none does.

    Only then is the result the original's own series with these labels, unchanged: aggregations must keep the label, and
    nothing may match series on other labels (`on`, `ignoring`) or make new ones.
    """
    try:
        tokens = _tokens(expression)
        places = _selectors(tokens)
        keeps = _kept(tokens)
    except _Unreadable:
        return None
    if {token.text for token in tokens if token.kind == "word"} & _UNSAFE:
        return None
    safe = {label: value for label, value in labels.items() if value and _IDENTIFIER.fullmatch(label) and keeps(label)}
    if not safe or not places:
        return None
    added = ", ".join(f"{label}={quote(value)}" for label, value in safe.items())
    out, position = [], 0
    for place in places:
        out.append(expression[position : place.at])
        out.append(f", {added}" if place.inside == "after matchers" else added if place.inside else f"{{{added}}}")
        position = place.at
    return "".join([*out, expression[position:]])


class _Unreadable(Exception):
    """Caught within this file; the text completes "could not be read: ..."."""


class _Token(NamedTuple):
    kind: str  # word number string op range
    text: str
    at: int
    end: int


class _Place(NamedTuple):
    """A selector and where a matcher could be added to it. inside: "" no braces, "empty", or "after matchers"."""

    selector: Selector
    at: int
    inside: str


_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
      | (?P<range>\[[^\]\[]*\])
      | (?P<number>(?:\d|\.\d)(?:[\w.]|(?<=[eE])[+-](?=\d))*)
      | (?P<word>[A-Za-z_:][\w:]*)
      | (?P<op>==|!=|=~|!~|>=|<=|[-+*/%^(){},@=<>])""",
    re.VERBOSE | re.ASCII,
)
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_KEYWORDS = _LISTS | {"and", "or", "unless", "atan2", "offset", "bool", "inf", "nan"}
_KEEPING = {"topk", "bottomk", "limitk", "limit_ratio"}  # these pick series and leave their labels
_AGGREGATORS = {"sum", "min", "max", "avg", "group", "stddev", "stdvar", "count", "count_values", "quantile"} | _KEEPING
# With any of these a label of the result need not be the label of every series that went in.
_UNSAFE = {
    "on", "ignoring", "group_left", "group_right", "label_replace", "label_join", "scalar", "vector", "absent",
    "absent_over_time", "count_values", "time", "info",
}  # fmt: skip


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position, depth = 0, []
    pairs = {")": "(", "}": "{"}
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise _Unreadable(f"{text[position : position + 1]!r} at character {position + 1} is not understood")
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(_Token(kind, match[0], position, match.end()))
            if match[0] in ("(", "{"):
                depth.append(match[0])
            elif match[0] in pairs and (not depth or depth.pop() != pairs[match[0]]):
                raise _Unreadable(f"{match[0]!r} at character {position + 1} closes nothing")
        position = match.end()
    if depth:
        raise _Unreadable("a bracket is not closed")
    if not tokens:
        raise _Unreadable("it is empty")
    return tokens


def _text(expression: str, tokens: Sequence[_Token]) -> str:
    return expression[tokens[0].at : tokens[-1].end] if tokens else ""


def _unconditional(tokens: Sequence[_Token]) -> list[_Token]:
    """Without the right sides of `and` and `unless`, at any depth: they decide whether there is a value, not which."""
    kept, skipping = [], -1
    for token, depth in zip(tokens, _depths(tokens), strict=True):
        word = token.text.lower() if token.kind == "word" else ""
        if skipping >= 0 and (depth < skipping or (depth == skipping and word == "or")):
            skipping = -1
        if skipping < 0 and word in ("and", "unless"):
            skipping = depth
        if skipping < 0:
            kept.append(token)
    return kept


def _subject(tokens: list[_Token]) -> tuple[list[_Token], Threshold | None]:
    """The tokens of what is measured, and the constant it is compared with."""
    part = tokens
    for _ in range(_MAX_NESTING):
        part = _unwrapped(part)
        if _split(part, {"or"})[1]:
            return part, None  # alternatives: no one of them is the measure
        first, rest = _split(part, {"and", "unless"})
        if rest:
            part = first
            continue
        return _compared(part)
    raise _Unreadable("it is nested too deeply")


def _compared(part: list[_Token]) -> tuple[list[_Token], Threshold | None]:
    places = [i for i, depth in enumerate(_depths(part)) if not depth and part[i].kind == "op" and part[i].text in _COMPARISONS]
    if len(places) != 1:
        return part, None
    at = places[0]
    left, operator, right = part[:at], part[at].text, part[at + 1 :]
    if not left or not right or right[0].text == "bool":
        return part, None
    constant = _constant(right)
    if constant is not None:
        return _unwrapped(left), Threshold(operator, constant)
    constant = _constant(left)
    if constant is not None:
        turned = {">": "<", "<": ">", ">=": "<=", "<=": ">="}.get(operator, operator)
        return _unwrapped(right), Threshold(turned, constant)
    return _unwrapped(left), None


def _depths(tokens: Sequence[_Token]) -> list[int]:
    """How many brackets stand around each token."""
    depth, out = 0, []
    for token in tokens:
        if token.text in (")", "}") and token.kind == "op":
            depth -= 1
        out.append(depth)
        if token.text in ("(", "{") and token.kind == "op":
            depth += 1
    return out


def _unwrapped(tokens: list[_Token]) -> list[_Token]:
    """Without brackets around the whole."""
    partner, opened = {}, []
    for i, token in enumerate(tokens):
        if token.kind == "op" and token.text == "(":
            opened.append(i)
        elif token.kind == "op" and token.text == ")" and opened:
            partner[opened.pop()] = i
    start, end = 0, len(tokens) - 1
    while start < end and partner.get(start) == end:
        start, end = start + 1, end - 1
    return tokens[start : end + 1]


def _split(tokens: list[_Token], words: set[str]) -> tuple[list[_Token], list[_Token]]:
    """Before and after the first of these operators outside brackets; nothing after where there is none."""
    for i, depth in enumerate(_depths(tokens)):
        if not depth and i and tokens[i].kind == "word" and tokens[i].text.lower() in words:
            return tokens[:i], tokens[i + 1 :]
    return tokens, []


def _constant(tokens: Sequence[_Token]) -> float | None:
    """The value of numbers joined by + - * /, such as `5 * 60`; None for anything else."""
    words = [token.text for token in tokens]
    if len(words) > 15 or not all(t.kind in ("number", "op") or t.text.lower() in ("inf", "nan") for t in tokens):
        return None
    sign, total, term, operator = 1.0, 0.0, None, "+"
    for word in words:
        if word in ("+", "-") and term is None:
            sign = -sign if word == "-" else sign
        elif word in ("+", "-", "*", "/"):
            if word in ("+", "-"):
                total, term = total + (term or 0.0), None
                sign = -1.0 if word == "-" else 1.0
                operator = "+"
            else:
                operator = word
        else:
            value = _number(word)
            if value is None:
                return None
            if term is None:
                term = sign * value
            elif operator == "*":
                term *= value
            elif operator == "/" and value:
                term /= value
            else:
                return None
    result = None if term is None else total + term
    return result if result is not None and math.isfinite(result) else None


def _number(word: str) -> float | None:
    try:
        return float(int(word, 16)) if word.lower().startswith("0x") else float(word)
    except ValueError:
        return None


def _selectors(tokens: Sequence[_Token]) -> list[_Place]:
    places: list[_Place] = []
    i = 0
    while i < len(tokens):
        token = tokens[i]
        following = tokens[i + 1].text if i + 1 < len(tokens) else ""
        if token.kind == "word" and token.text.lower() in _LISTS and following == "(":
            i = _closing(tokens, i + 1) + 1
        elif _reads(token, following):
            place, i = _selector(tokens, i)
            places.append(place)
        else:
            i += 1
    return places


def _reads(token: _Token, following: str) -> bool:
    """A selector begins here: braces, or a word that is no operator, function or aggregation."""
    if token.kind != "word":
        return token.kind == "op" and token.text == "{"
    acts = token.text.lower() in _KEYWORDS or following == "("
    return not acts and not (token.text in _AGGREGATORS and following.lower() in ("by", "without"))


def _kept(tokens: Sequence[_Token]) -> Callable[[str], bool]:
    """Whether a label of what goes in is on what comes out of every aggregation."""
    by: list[set[str]] = []
    without: set[str] = set()
    bare = 0
    for i, token in enumerate(tokens):
        following = tokens[i + 1].text if i + 1 < len(tokens) else ""
        if token.kind != "word":
            continue
        if token.text.lower() in ("by", "without") and following == "(":
            names = {inner.text.strip("\"'`") for inner in tokens[i + 2 : _closing(tokens, i + 1)] if inner.kind != "op"}
            if token.text.lower() == "by":
                by.append(names)
            else:
                without |= names
            bare -= 1
        elif token.text in _AGGREGATORS and (following == "(" or following.lower() in ("by", "without")):
            bare += 1
            if token.text in _KEEPING and following == "(":
                bare -= 1
    # An aggregation without a clause drops every label. One more clause than that (a topk with one) errs on the safe side.
    return lambda label: bare <= 0 and all(label in names for names in by) and label not in without


def _closing(tokens: Sequence[_Token], opening: int) -> int:
    depth = 0
    for i in range(opening, len(tokens)):
        depth += {"(": 1, "{": 1, ")": -1, "}": -1}.get(tokens[i].text, 0) if tokens[i].kind == "op" else 0
        if not depth:
            return i
    raise _Unreadable("a bracket is not closed")


def _selector(tokens: Sequence[_Token], i: int) -> tuple[_Place, int]:
    """The selector at `i`, and the index after it with its range and offset."""
    metric, at, inside = "", tokens[i].end, ""
    matchers: tuple[Matcher, ...] = ()
    if tokens[i].kind == "word":
        metric = tokens[i].text
        i += 1
    if i < len(tokens) and tokens[i].text == "{":
        end = _closing(tokens, i)
        quoted, matchers = _matchers(tokens[i + 1 : end])
        metric = metric or quoted or next((m.value for m in matchers if m.label == "__name__" and m.operator == "="), "")
        body = [token for token in tokens[i + 1 : end] if token.text != ","]
        # Before the closing brace, and before a comma that may trail there.
        at, inside = (body[-1].end, "after matchers") if body else (tokens[i].end, "empty")
        i = end + 1
    range_ns = offset_ns = Nanos(0)
    while i < len(tokens):
        if tokens[i].kind == "range":
            range_ns = _duration(tokens[i].text[1:-1].partition(":")[0])
            i += 1
        elif tokens[i].kind == "word" and tokens[i].text.lower() == "offset":
            minus = i + 1 < len(tokens) and tokens[i + 1].text == "-"
            if i + 1 + minus >= len(tokens):
                raise _Unreadable("offset names no duration")
            offset_ns = _duration(tokens[i + 1 + minus].text)
            offset_ns = Nanos(-offset_ns) if minus else offset_ns
            i += 2 + minus
        else:
            break
    matchers = tuple(matcher for matcher in matchers if matcher.label != "__name__")
    return _Place(Selector(metric, matchers, range_ns, offset_ns), at, inside), i


def _duration(text: str) -> Nanos:
    text = text.strip()
    try:
        # Prometheus 3 also takes bare seconds.
        return Nanos(int(float(text) * 1e9)) if re.fullmatch(r"[\d.]+", text) else parse_duration(text)
    except (InvalidInput, ValueError):
        raise _Unreadable(f"{text[:20]!r} is not a duration") from None


def _matchers(tokens: Sequence[_Token]) -> tuple[str, tuple[Matcher, ...]]:
    """A quoted metric name, and the matchers, of what stands in braces."""
    metric, found, i = "", [], 0
    while i < len(tokens):
        if tokens[i].text == ",":
            i += 1
        elif i + 2 < len(tokens) and tokens[i + 1].text in ("=", "!=", "=~", "!~") and tokens[i + 2].kind == "string":
            label = _unquoted(tokens[i].text) if tokens[i].kind == "string" else tokens[i].text
            found.append(Matcher(label, tokens[i + 1].text, _unquoted(tokens[i + 2].text)))
            i += 3
        elif tokens[i].kind == "string":
            metric = _unquoted(tokens[i].text)
            i += 1
        else:
            raise _Unreadable(f"{tokens[i].text[:20]!r} is no matcher")
    return metric, tuple(found)


_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


def _unquoted(text: str) -> str:
    if text[0] == "`":
        return text[1:-1]

    def plain(match: re.Match[str]) -> str:
        code = match[2] or match[3]
        if code:
            if int(code, 16) > 0x10FFFF or 0xD800 <= int(code, 16) < 0xE000:
                raise _Unreadable(f"{match[0]!r} is no character")
            return chr(int(code, 16))
        if match[1] or match[4]:  # single bytes of UTF-8: put back together below
            return (
                chr(0xDC00 + (int(match[1], 16) if match[1] else int(match[4], 8) & 0xFF))
                if (int(match[1] or "0", 16) > 127 or int(match[4] or "0", 8) > 127)
                else chr(int(match[1], 16) if match[1] else int(match[4], 8))
            )
        if match[5] not in _SIMPLE:
            raise _Unreadable(f"the escape {match[0]!r} is not known")
        return _SIMPLE[match[5]]

    return _ESCAPE.sub(plain, text[1:-1]).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
