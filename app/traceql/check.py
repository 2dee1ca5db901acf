"""Whether a query that parsed also makes sense: types that fit, regexes that compile, nothing Clew cannot answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2

from app.traceql import nodes
from app.traceql.lexer import TraceQLError
from app.traceql.nodes import (
    COMPARISONS,
    REGEX,
    Attribute,
    Binary,
    Compare,
    Expression,
    Intrinsic,
    Junction,
    Literal,
    Logical,
    Measure,
    Negative,
    Not,
    Op,
    OverTime,
    Pipeline,
    Query,
    Reducer,
    Related,
    ScalarFilter,
    Scope,
    SpanFilter,
    SpansetLogical,
)
from app.traceql.values import NUMERIC, Type, fit, type_of
from app.traceql.write import write

MAX_DEPTH = 100
MAX_GROUPS = 5
_MAX_PATTERN = 16 * 1024
_RE2 = re2.Options()
_RE2.log_errors = False  # RE2 would print the pattern to stderr
_RE2.max_mem = 8 * 2**20

_FIELD_TYPES = {
    Intrinsic.DURATION: Type.DURATION,
    Intrinsic.TRACE_DURATION: Type.DURATION,
    Intrinsic.EVENT_SINCE_START: Type.DURATION,
    Intrinsic.STATUS: Type.STATUS,
    Intrinsic.KIND: Type.KIND,
    Intrinsic.CHILD_COUNT: Type.INT,
    Intrinsic.NESTED_LEFT: Type.INT,
    Intrinsic.NESTED_RIGHT: Type.INT,
    Intrinsic.NESTED_PARENT: Type.INT,
}
_EQUALITY = frozenset({Op.EQ, Op.NE})
_ORDER = frozenset({Op.EQ, Op.NE, Op.LT, Op.LE, Op.GT, Op.GE})
_ARITHMETIC = frozenset(Op) - COMPARISONS
_ALLOWED = {
    Type.BOOLEAN: _EQUALITY,
    Type.NIL: _EQUALITY,
    Type.STATUS: _EQUALITY,
    Type.KIND: _EQUALITY,
    Type.STRING: _ORDER | REGEX,
    Type.INT: _ORDER | _ARITHMETIC,
    Type.FLOAT: _ORDER | _ARITHMETIC,
    Type.DURATION: _ORDER | _ARITHMETIC,
    Type.ANY: frozenset(Op),
    Type.ARRAY: _ORDER | REGEX,
}


def allowed(op: Op, type_: Type) -> bool:
    return op in _ALLOWED[type_]


def pattern(text: str) -> Any:
    """The RE2 program of a pattern that must match a whole value; `.` matches newlines too.

    Errors: TraceQLError.
    """
    if len(text) > _MAX_PATTERN:
        raise TraceQLError(f"the regular expression is longer than {_MAX_PATTERN} characters")
    try:
        return re2.compile(f"(?s:{text})", _RE2)
    except re2.error:
        raise TraceQLError(f"invalid regular expression {text[:80]!r}") from None


def check(query: Query) -> None:
    """Errors: TraceQLError with the part that does not fit."""
    _check_depth(query)
    for stage in query.pipeline.stages:
        _check_stage(stage)
    match query.metrics:
        case Compare(selection):
            _check_stage(selection)
        case OverTime() as over_time:
            _check_over_time(over_time)
    for second in query.second:
        if isinstance(second, (nodes.TopK, nodes.BottomK)) and second.limit <= 0:
            raise TraceQLError("the number in topk() and bottomk() must be greater than 0")


def _children(node: Any) -> Iterator[Any]:
    match node:
        case Query(pipeline, metrics):
            yield pipeline
            if isinstance(metrics, Compare):
                yield metrics.selection
        case Pipeline(stages):
            yield from stages
        case SpanFilter(expression) | nodes.GroupBy(expression):
            yield expression
        case Related(_, left, right) | Binary(_, left, right):
            yield left
            yield right
        case Logical(operands) | SpansetLogical(operands):
            yield from operands
        case Not(operand) | Negative(operand):
            yield operand
        case ScalarFilter(aggregate):
            yield aggregate.of


def _check_depth(query: Query) -> None:
    """Iterative, because what it guards against is depth."""
    stack: list[tuple[Any, int]] = [(query, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise TraceQLError(f"the query is nested more than {MAX_DEPTH} levels deep")
        stack.extend((child, depth + 1) for child in _children(node))


def _check_stage(stage: nodes.Stage) -> None:
    match stage:
        case SpanFilter(None) | nodes.Coalesce() | nodes.Select():
            pass
        case SpanFilter(expression) if expression is not None:
            if _type(expression) not in (Type.BOOLEAN, Type.ANY):
                raise TraceQLError(f"a span filter must be true or false: {write(stage)}")
        case Related(_, left, right):
            _check_operands((left, right), stage)
        case SpansetLogical(operands):
            _check_operands(operands, stage)
        case Pipeline(stages):
            for inner in stages:
                _check_stage(inner)
        case nodes.GroupBy(expression):
            _type(expression)
            if not _reads_span(expression):
                raise TraceQLError(f"by() must name something of the span: {write(stage)}")
        case ScalarFilter():
            _check_scalar_filter(stage)


def _check_operands(operands: tuple[nodes.Spansets, ...], whole: nodes.Stage) -> None:
    wrapped = [isinstance(operand, Pipeline) for operand in operands]
    if any(wrapped) and not all(wrapped):
        raise TraceQLError(f"a bracketed pipeline combines only with other bracketed pipelines: {write(whole)}")
    for operand in operands:
        _check_stage(operand)


def _check_scalar_filter(stage: ScalarFilter) -> None:
    reducer, of = stage.aggregate.reducer, stage.aggregate.of
    result = Type.INT
    if reducer is Reducer.COUNT:
        if of is not None:
            raise TraceQLError("count() takes nothing between its brackets")
    elif of is None:
        raise TraceQLError(f"{reducer}() needs an attribute or expression")
    else:
        result = _type(of)
        if result not in (*NUMERIC, Type.ANY):
            raise TraceQLError(f"an aggregate needs a number: {write(stage)}")
        if not _reads_span(of):
            raise TraceQLError(f"an aggregate must name something of the span: {write(stage)}")
    if stage.op in REGEX or not fit(result, type_of(stage.value.value)):
        raise TraceQLError(f"the two sides do not compare: {write(stage)}")


def _check_over_time(over_time: OverTime) -> None:
    if len(over_time.by) > MAX_GROUPS:
        raise TraceQLError(f"by() takes at most {MAX_GROUPS} attributes")
    for quantile in over_time.quantiles:
        if not 0 <= quantile <= 1:
            raise TraceQLError("a quantile lies between 0 and 1")
    if over_time.of is not None and _type(over_time.of) not in (*NUMERIC, Type.ANY):
        raise TraceQLError(f"{over_time.measure}() needs a number")
    if over_time.measure is Measure.QUANTILE and not over_time.quantiles:
        raise TraceQLError("quantile_over_time() needs a quantile")


def _reads_span(expression: Expression) -> bool:
    match expression:
        case Attribute() | Intrinsic():
            return True
        case Binary(_, left, right):
            return _reads_span(left) or _reads_span(right)
        case Not(operand) | Negative(operand):
            return _reads_span(operand)
        case Logical(operands):
            return any(_reads_span(operand) for operand in operands)
        case _:
            return False


def _type(expression: Expression) -> Type:
    """The type an expression will have. Errors: TraceQLError where its parts do not fit each other."""
    match expression:
        case Attribute():
            return Type.ANY
        case Intrinsic():
            return _FIELD_TYPES.get(expression, Type.STRING)
        case Literal(value):
            return type_of(value)
        case Not(operand):
            if _type(operand) not in (Type.BOOLEAN, Type.ANY):
                raise TraceQLError(f"! needs something true or false: {_text(expression)}")
            return Type.BOOLEAN
        case Negative(operand):
            inner = _type(operand)
            if inner not in (*NUMERIC, Type.ANY):
                raise TraceQLError(f"- needs a number: {_text(expression)}")
            return inner
        case Logical(operands):
            for operand in operands:
                if _type(operand) not in (Type.BOOLEAN, Type.ANY):
                    raise TraceQLError(f"&& and || need something true or false: {_text(operand)}")
            return Type.BOOLEAN
        case Binary():
            return _binary_type(expression)


def _binary_type(expression: Binary) -> Type:
    op, left, right = expression.op, _type(expression.left), _type(expression.right)
    if not fit(left, right):
        raise TraceQLError(f"the two sides have different types: {_text(expression)}")
    if not (allowed(op, left) and allowed(op, right)):
        raise TraceQLError(f"{op} does not apply to {left.value} and {right.value}: {_text(expression)}")
    if op is Op.EQ and Type.NIL in (left, right):
        _check_absence(expression)
    if op in REGEX and isinstance(expression.right, Literal) and isinstance(expression.right.value, str):
        pattern(expression.right.value)
    if op in COMPARISONS:
        return Type.BOOLEAN
    return right if left is Type.ANY else left


def _check_absence(expression: Binary) -> None:
    """Every span has its intrinsics, and every resource a service.name: Tempo refuses to look for their absence."""
    named = expression.left if not isinstance(expression.left, Literal) else expression.right
    if isinstance(named, Intrinsic) or named == Attribute("service.name", Scope.RESOURCE):
        raise TraceQLError(f"this can never be nil: {_text(expression)}")


def _text(expression: Expression) -> str:
    return write(SpanFilter(expression))[2:-2][:200]


__all__ = ["MAX_DEPTH", "Junction", "allowed", "check", "pattern"]
