"""A TraceQL query as a tree of small frozen values, and short ways to build one.

    span_filter(eq(span("auth.result"), "failure"), eq(resource("service.name"), "identity"))

A value is never pasted into text: write.py quotes it. `&&` and `||` bind equally in TraceQL and are read from left to
right, so a run of them is one flat `Logical`; that also keeps long generated queries shallow.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from app.traceql.values import Value


class Scope(enum.StrEnum):
    """Where an attribute is looked for; ANY tries span, resource, event, link and instrumentation in that order."""

    ANY = ""
    SPAN = "span"
    RESOURCE = "resource"
    EVENT = "event"
    LINK = "link"
    INSTRUMENTATION = "instrumentation"


class Intrinsic(enum.Enum):
    """A span's own fields, by the name Tempo answers with."""

    DURATION = "duration"
    NAME = "name"
    STATUS = "status"
    STATUS_MESSAGE = "statusMessage"
    KIND = "kind"
    CHILD_COUNT = "span:childCount"
    SPAN_ID = "span:id"
    PARENT_ID = "span:parentID"
    TRACE_ID = "trace:id"
    TRACE_DURATION = "traceDuration"
    ROOT_NAME = "rootName"
    ROOT_SERVICE = "rootServiceName"
    EVENT_NAME = "event:name"
    EVENT_SINCE_START = "event:timeSinceStart"
    LINK_TRACE_ID = "link:traceID"
    LINK_SPAN_ID = "link:spanID"
    SCOPE_NAME = "instrumentation:name"
    SCOPE_VERSION = "instrumentation:version"
    NESTED_LEFT = "nestedSetLeft"
    NESTED_RIGHT = "nestedSetRight"
    NESTED_PARENT = "nestedSetParent"


# Newer spellings of the same fields.
ALIASES: dict[str, Intrinsic] = {
    "span:duration": Intrinsic.DURATION,
    "span:name": Intrinsic.NAME,
    "span:status": Intrinsic.STATUS,
    "span:statusMessage": Intrinsic.STATUS_MESSAGE,
    "span:kind": Intrinsic.KIND,
    "trace:duration": Intrinsic.TRACE_DURATION,
    "trace:rootName": Intrinsic.ROOT_NAME,
    "trace:rootService": Intrinsic.ROOT_SERVICE,
}
INTRINSICS: dict[str, Intrinsic] = {**{i.value: i for i in Intrinsic}, **ALIASES}


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    scope: Scope = Scope.ANY

    def __str__(self) -> str:
        return f"{self.scope}.{self.name}"


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A constant. 1, 1.0 and true are three different literals, whatever Python thinks of them."""

    value: Value

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Literal) or type(other.value) is not type(self.value):
            return NotImplemented if not isinstance(other, Literal) else False
        return repr(other.value) == repr(self.value)  # tells 0.0 from -0.0, and lets NaN equal itself

    def __hash__(self) -> int:
        return hash((type(self.value), repr(self.value)))


class Op(enum.StrEnum):
    """Operators between two expressions about one span."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    RE = "=~"
    NRE = "!~"
    ADD = "+"
    SUB = "-"
    MUL = "*"
    DIV = "/"
    MOD = "%"
    POW = "^"


COMPARISONS = frozenset({Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE, Op.RE, Op.NRE})
REGEX = frozenset({Op.RE, Op.NRE})


class Junction(enum.StrEnum):
    AND = "&&"
    OR = "||"


@dataclass(frozen=True, slots=True)
class Binary:
    op: Op
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expression


@dataclass(frozen=True, slots=True)
class Negative:
    operand: Expression


@dataclass(frozen=True, slots=True)
class Logical:
    """operands[0] junctions[0] operands[1] junctions[1] operands[2] ..., read strictly from the left."""

    operands: tuple[Expression, ...]
    junctions: tuple[Junction, ...]


Field: TypeAlias = "Attribute | Intrinsic"
Expression: TypeAlias = "Attribute | Intrinsic | Literal | Binary | Not | Negative | Logical"


@dataclass(frozen=True, slots=True)
class SpanFilter:
    """`{ expression }`; without one it takes every span."""

    expression: Expression | None = None


class Relation(enum.StrEnum):
    """How spans of the right side must stand to spans of the left. `&` relations return both sides."""

    CHILD = ">"
    PARENT = "<"
    DESCENDANT = ">>"
    ANCESTOR = "<<"
    SIBLING = "~"
    NOT_CHILD = "!>"
    NOT_PARENT = "!<"
    NOT_DESCENDANT = "!>>"
    NOT_ANCESTOR = "!<<"
    NOT_SIBLING = "!~"
    UNION_CHILD = "&>"
    UNION_PARENT = "&<"
    UNION_DESCENDANT = "&>>"
    UNION_ANCESTOR = "&<<"
    UNION_SIBLING = "&~"


@dataclass(frozen=True, slots=True)
class Related:
    relation: Relation
    left: Spansets
    right: Spansets


@dataclass(frozen=True, slots=True)
class SpansetLogical:
    """Like Logical, between sets of spans of one trace."""

    operands: tuple[Spansets, ...]
    junctions: tuple[Junction, ...]


class Reducer(enum.StrEnum):
    COUNT = "count"
    MIN = "min"
    MAX = "max"
    AVG = "avg"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class Aggregate:
    reducer: Reducer
    of: Expression | None = None


@dataclass(frozen=True, slots=True)
class ScalarFilter:
    aggregate: Aggregate
    op: Op
    value: Literal


@dataclass(frozen=True, slots=True)
class GroupBy:
    expression: Expression


@dataclass(frozen=True, slots=True)
class Coalesce:
    pass


@dataclass(frozen=True, slots=True)
class Select:
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    stages: tuple[Stage, ...]


Spansets: TypeAlias = "SpanFilter | Related | SpansetLogical | Pipeline"
Stage: TypeAlias = "SpanFilter | Related | SpansetLogical | Pipeline | ScalarFilter | GroupBy | Coalesce | Select"


class Measure(enum.StrEnum):
    RATE = "rate"
    COUNT = "count_over_time"
    MIN = "min_over_time"
    MAX = "max_over_time"
    AVG = "avg_over_time"
    SUM = "sum_over_time"
    HISTOGRAM = "histogram_over_time"
    QUANTILE = "quantile_over_time"


@dataclass(frozen=True, slots=True)
class OverTime:
    """Spans to numbers over time. `of` is what is measured, where the measure needs it."""

    measure: Measure
    of: Field | None = None
    quantiles: tuple[float, ...] = ()
    by: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Compare:
    """The attribute values of the selected spans against those of all others."""

    selection: SpanFilter
    top: int = 10
    start_ns: int = 0
    end_ns: int = 0


@dataclass(frozen=True, slots=True)
class TopK:
    limit: int


@dataclass(frozen=True, slots=True)
class BottomK:
    limit: int


@dataclass(frozen=True, slots=True)
class SeriesFilter:
    op: Op
    value: Literal


Metrics: TypeAlias = "OverTime | Compare"
SecondStage: TypeAlias = "TopK | BottomK | SeriesFilter"


@dataclass(frozen=True, slots=True)
class Query:
    pipeline: Pipeline
    metrics: Metrics | None = None
    second: tuple[SecondStage, ...] = ()
    hints: tuple[tuple[str, Literal], ...] = ()

    def hint(self, name: str) -> Value:
        return next((value.value for key, value in self.hints if key == name), None)


# ---------------------------------------------------------------------------------------------------------- builders


def span(name: str) -> Attribute:
    return Attribute(name, Scope.SPAN)


def resource(name: str) -> Attribute:
    return Attribute(name, Scope.RESOURCE)


def compare(left: Expression, op: Op | str, value: Value) -> Binary:
    """One comparison. The field stands on the left: Tempo finds nothing where it stands on the right of `<` or `>`."""
    return Binary(Op(op), left, Literal(value))


def eq(left: Expression, value: Value) -> Binary:
    return compare(left, Op.EQ, value)


def ne(left: Expression, value: Value) -> Binary:
    """Different from `value`, and present: a span without the attribute does not match."""
    return compare(left, Op.NE, value)


def matches(left: Expression, pattern: str) -> Binary:
    """The whole text matches the RE2 pattern."""
    return compare(left, Op.RE, pattern)


def exists(left: Expression) -> Binary:
    return compare(left, Op.NE, None)


def one_of(left: Expression, values: Iterable[Value]) -> Expression:
    """Equal to any of the values. Errors: ValueError for none, which no span could match."""
    return or_(*(eq(left, value) for value in values))


def equal_in_any_type(left: Expression, number: int) -> Expression:
    """Equal to a whole number however it was recorded: TraceQL tells 403 from 403.0 and from "403"."""
    return one_of(left, (number, float(number), str(number)))


def and_(*expressions: Expression) -> Expression:
    """All of them. Alternatives among them keep their brackets."""
    return _join(Junction.AND, expressions)


def or_(*expressions: Expression) -> Expression:
    return _join(Junction.OR, expressions)


def _join(junction: Junction, expressions: tuple[Expression, ...]) -> Expression:
    if not expressions:
        raise ValueError("nothing to join")
    if len(expressions) == 1:
        return expressions[0]
    return Logical(expressions, (junction,) * (len(expressions) - 1))


def span_filter(*expressions: Expression) -> SpanFilter:
    """Spans for which all of the expressions hold; without any, every span."""
    return SpanFilter(and_(*expressions) if expressions else None)


def search(*stages: Stage, most_recent: bool = False) -> Query:
    """A query from its stages, in order."""
    return Query(Pipeline(stages), hints=(("most_recent", Literal(True)),) if most_recent else ())


def measure(stages: Stage, what: OverTime, *second: SecondStage) -> Query:
    """A metrics query over the spans of one stage."""
    return Query(Pipeline((stages,)), metrics=what, second=second)
