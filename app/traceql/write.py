"""A query tree to its text, quoted so that no value can become syntax."""

from __future__ import annotations

import math
import re

from app.traceql import nodes
from app.traceql.nodes import (
    Aggregate,
    Attribute,
    Binary,
    BottomK,
    Coalesce,
    Compare,
    Expression,
    GroupBy,
    Intrinsic,
    Literal,
    Logical,
    Metrics,
    Negative,
    Not,
    Op,
    OverTime,
    Pipeline,
    Query,
    Related,
    ScalarFilter,
    SecondStage,
    Select,
    SeriesFilter,
    SpanFilter,
    SpansetLogical,
    Stage,
    TopK,
)
from app.traceql.values import Duration, Value, encode

# Everything else is quoted, although Tempo would take more: + - and the rest read as arithmetic to people.
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./@-]*", re.ASCII)
_UNITS = (("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1))

# How tightly an expression holds together; a looser one inside a tighter one needs brackets.
_LOGICAL, _COMPARISON, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(7)
_LEVEL = {Op.ADD: _SUM, Op.SUB: _SUM, Op.MUL: _PRODUCT, Op.DIV: _PRODUCT, Op.MOD: _PRODUCT, Op.POW: _POWER}


def write(query: Query | Stage) -> str:
    """The text of a query, or of one of its stages."""
    if not isinstance(query, Query):
        return _stage(query)
    parts = [_stages(query.pipeline)]
    if query.metrics is not None:
        parts.append(f" | {_metrics(query.metrics)}")
    parts += [_second(stage) for stage in query.second]
    if query.hints:
        parts.append(f" with ({', '.join(f'{name}={_literal(value.value)}' for name, value in query.hints)})")
    return "".join(parts)


def quote(text: str) -> str:
    """A string literal. Tempo unquotes as Go does, so these are Go's escapes."""
    out = []
    for char in text:
        if char in '"\\':
            out.append("\\" + char)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char < " " or char == "\x7f":
            out.append(f"\\x{ord(char):02x}")
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def field(what: nodes.Field) -> str:
    """An attribute or intrinsic as a query names it, and as `by()` labels are named."""
    if isinstance(what, Intrinsic):
        return what.value
    return f"{what.scope}.{_name(what.name)}"


def _name(name: str) -> str:
    # Inside a quoted name only these two are escapes.
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _literal(value: Value) -> str:
    match value:
        case str():
            return quote(value)
        case Duration():
            return duration(value)
        case float():
            text = repr(value)
            # "1e+16" would be read as a float as well, but a bare "1" would become an int.
            return text if "." in text or "e" in text else text + ".0"
        case int() if value == -(2**63):
            return "minInt"  # its digits alone do not fit
        case _:
            return encode(value)


def duration(ns: int) -> str:
    """Whole units from hours to nanoseconds, so that nothing is rounded: 1h30m, 1500ms is 1s500ms."""
    sign, rest = ("-" if ns < 0 else ""), abs(ns)
    parts = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return sign + ("".join(parts) or "0s")


def _level(expression: Expression) -> int:
    match expression:
        case Logical():
            return _LOGICAL
        case Binary(op):
            return _LEVEL.get(op, _COMPARISON)
        case Not() | Negative():
            return _UNARY
        case Literal(int() | float() as number) if math.copysign(1, number) < 0:
            return _UNARY
        case _:
            return _ATOM


def _expression(e: Expression, least: int = _LOGICAL) -> str:
    level = _level(e)
    match e:
        case Attribute() | Intrinsic():
            text = field(e)
        case Literal(value):
            text = _literal(value)
        case Not(operand):
            text = "!" + _expression(operand, _UNARY)
        case Negative(operand):
            text = "-" + _expression(operand, _UNARY)
        case Binary(Op.POW, left, right):
            text = f"{_expression(left, _ATOM)} ^ {_expression(right, _UNARY)}"
        case Binary(op, left, right):
            text = f"{_expression(left, level)} {op} {_expression(right, level + 1)}"
        case Logical(operands, junctions):
            text = _chain([_expression(operand, _COMPARISON) for operand in operands], junctions)
    return f"({text})" if level < least else text


def _chain(texts: list[str], junctions: tuple[nodes.Junction, ...]) -> str:
    return texts[0] + "".join(f" {junction} {text}" for junction, text in zip(junctions, texts[1:], strict=True))


def _stages(pipeline: Pipeline) -> str:
    return " | ".join(_stage(stage) for stage in pipeline.stages)


def _stage(stage: Stage) -> str:
    match stage:
        case SpanFilter(expression):
            return "{ }" if expression is None else f"{{ {_expression(expression)} }}"
        case Related(relation, left, right):
            return f"{_operand(left, related=True)} {relation} {_operand(right)}"
        case SpansetLogical(operands, junctions):
            return _chain([_operand(operand, related=True) for operand in operands], junctions)
        case Pipeline():
            return f"({_stages(stage)})"
        case ScalarFilter(aggregate, op, value):
            return f"{aggregate_name(aggregate)} {op} {_literal(value.value)}"
        case GroupBy(expression):
            return f"by({_expression(expression)})"
        case Coalesce():
            return "coalesce()"
        case Select(fields):
            return f"select({', '.join(field(f) for f in fields)})"


def _operand(stage: nodes.Spansets, *, related: bool = False) -> str:
    text = _stage(stage)
    bare = isinstance(stage, (SpanFilter, Pipeline)) or (related and isinstance(stage, Related))
    return text if bare else f"({text})"


def aggregate_name(aggregate: Aggregate) -> str:
    """An aggregate as a query writes it, which is also how an answer calls its value."""
    return f"{aggregate.reducer}({'' if aggregate.of is None else _expression(aggregate.of)})"


def _metrics(metrics: Metrics) -> str:
    match metrics:
        case Compare(selection, top, start_ns, end_ns):
            arguments = [_stage(selection), str(top), *([str(start_ns), str(end_ns)] if start_ns or end_ns else [])]
            return f"compare({', '.join(arguments)})"
        case OverTime(measure, of, quantiles, by):
            arguments = [] if of is None else [field(of), *map(_literal, quantiles)]
            grouping = f" by ({', '.join(field(f) for f in by)})" if by else ""
            return f"{measure}({', '.join(arguments)}){grouping}"


def _second(stage: SecondStage) -> str:
    match stage:
        case TopK(limit):
            return f" | topk({limit})"
        case BottomK(limit):
            return f" | bottomk({limit})"
        case SeriesFilter(op, value):
            return f" {op} {_literal(value.value)}"
