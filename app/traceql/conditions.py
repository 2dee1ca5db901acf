"""What a query asks of the store, before anything is evaluated.

Tempo answers a query in two steps, and its answers show it. First its store fetches the attributes named in the query, but
only values that pass the comparison they are named in: `= 500.0` is looked for among floats alone, and `100 < .x` is looked
for as `.x < 100`. Then the expression is evaluated on what was fetched; what was not is nil. Where the filter is one `{ }` of
`&&` alone ("strict"), a span must have a value for every attribute named. This file finds those conditions; fetch.py applies
them. The consequences are part of TraceQL as people know it: docs/embedded.md lists them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.traceql import nodes
from app.traceql.evaluate import OneOf, Rewritten, constant
from app.traceql.nodes import (
    COMPARISONS,
    Attribute,
    Binary,
    Expression,
    Field,
    Intrinsic,
    Junction,
    Literal,
    Logical,
    Negative,
    Not,
    Op,
    Pipeline,
    Related,
    ScalarFilter,
    SpanFilter,
    SpansetLogical,
    Stage,
)
from app.traceql.values import Value


@dataclass(frozen=True, slots=True)
class Condition:
    """op None asks for any value. `absent` asks for spans without one."""

    field: Field
    op: Op | None = None
    values: tuple[Value, ...] = ()
    absent: bool = False


@dataclass(slots=True)
class Conditions:
    """strict: every attribute named must be there, so that the store may drop all other spans.

    every: a filter takes all spans (`{ }`), or spans are compared by their place in the tree.
    """

    found: list[Condition] = field(default_factory=list)
    strict: bool = True
    every: bool = False


def of_pipeline(pipeline: Pipeline) -> Conditions:
    out = Conditions()
    _pipeline(pipeline, out)
    return out


def _pipeline(pipeline: Pipeline, out: Conditions) -> None:
    for stage in pipeline.stages:
        _stage(stage, out)
    if len(pipeline.stages) > 1:
        out.strict = False


def _stage(stage: Stage, out: Conditions) -> None:
    match stage:
        case SpanFilter(None):
            out.every = True
        case SpanFilter(expression) if expression is not None:
            _expression(rewritten(expression), out)
        case Related(_, left, right):
            _stage(left, out)
            _stage(right, out)
            out.every, out.strict = True, False
        case SpansetLogical(operands):
            for operand in operands:
                _stage(operand, out)
            out.strict = False
        case Pipeline():
            _pipeline(stage, out)
        case nodes.GroupBy(expression):
            _expression(rewritten(expression), out)
        case ScalarFilter(aggregate):
            if aggregate.of is not None:
                _expression(rewritten(aggregate.of), out)
            out.strict = False


def _expression(e: Rewritten, out: Conditions) -> None:
    match e:
        case Attribute() | Intrinsic():
            out.found.append(Condition(e))
        case OneOf(named, op, values):
            out.found.append(Condition(named, op, values))
        case Literal(value):
            out.every = out.every or value is True
        case Not(operand) | Negative(operand):
            _expression(operand, out)
        case Logical(operands, junctions):
            for operand in operands:
                _expression(operand, out)
            out.strict = out.strict and Junction.OR not in junctions
        case Binary():
            _binary(e, out)


def _binary(e: Binary, out: Conditions) -> None:
    left, right = e.left, e.right
    if isinstance(left, (Attribute, Intrinsic)) and isinstance(right, Literal):
        out.found.append(_compared(left, e.op, right.value))
    elif isinstance(right, (Attribute, Intrinsic)) and isinstance(left, Literal):
        out.found.append(_compared(right, e.op, left.value))  # the operator is not turned round: Tempo does not either
    else:
        for side in (left, right):
            if not isinstance(side, Literal):
                _expression(side, out)


def _compared(named: Field, op: Op, value: Value) -> Condition:
    if value is None:
        return Condition(named, absent=op is Op.EQ)
    if op not in COMPARISONS:
        return Condition(named)
    return Condition(named, op, (value,))


def rewritten(e: Expression) -> Rewritten:
    """The expression with constants worked out, and comparisons of one attribute in a row made into one."""
    match e:
        case Binary(op, left, right):
            left, right = _inner(left), _inner(right)
            if isinstance(left, Literal) and isinstance(right, Literal):
                return constant(op, left, right)
            if isinstance(left, Literal) and op in (Op.EQ, Op.NE):
                left, right = right, left
            if left is Intrinsic.TRACE_ID and isinstance(right, Literal) and isinstance(right.value, str):
                right = Literal(right.value.lstrip("0"))  # Tempo takes a trace's id with leading zeros and without
            return Binary(op, left, right)
        case Not(operand):
            return Not(_inner(operand))
        case Negative(operand):
            return Negative(_inner(operand))
        case Logical(operands, junctions):
            return _merged([rewritten(operand) for operand in operands], list(junctions))
        case _:
            return e


def _inner(e: Expression) -> Expression:
    return rewritten(e)  # type: ignore[return-value]  # the evaluator knows OneOf wherever an expression may stand


def _merged(operands: list[Rewritten], junctions: list[Junction]) -> Rewritten:
    """Tempo merges from the left, for as long as the run names one attribute with one operator."""
    first = _as_one_of(operands[0])
    wanted = None if first is None else Junction.AND if first.op in (Op.NE, Op.NRE) else Junction.OR
    values = [] if first is None else list(first.values)
    taken = 1
    while first is not None and taken < len(operands) and junctions[taken - 1] is wanted:
        following = _as_one_of(operands[taken])
        if following is None or (following.field, following.op) != (first.field, first.op):
            break
        if {type(value) for value in following.values} != {type(value) for value in first.values}:
            break
        values += following.values
        taken += 1
    if first is None or taken == 1:
        return Logical(tuple(operands), tuple(junctions))  # type: ignore[arg-type]
    merged = OneOf(first.field, first.op, tuple(values))
    if taken == len(operands):
        return merged
    return Logical((merged, *operands[taken:]), tuple(junctions[taken - 1 :]))  # type: ignore[arg-type]


def _as_one_of(e: Rewritten) -> OneOf | None:
    match e:
        case OneOf():
            return e
        case Binary(Op.EQ | Op.NE | Op.RE | Op.NRE as op, Attribute() | Intrinsic() as named, Literal(value)):
            if value is not None:
                return OneOf(named, op, (value,))
    return None
