"""An expression about one span, made into a function once and called for every span.

A `Reader` gives the value of an attribute as it was fetched, nil where it was not. What does not apply (text against a number,
a regex against nil) is false, as in Tempo, never an error: the types come from telemetry.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from app.traceql.check import allowed, pattern
from app.traceql.nodes import (
    COMPARISONS,
    REGEX,
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
)
from app.traceql.values import NUMERIC, Type, Value, as_float, equal, fit, type_of


@dataclass(frozen=True, slots=True)
class OneOf:
    """`.a = 1 || .a = 2` (or `=~`), and with NE or NRE `.a != 1 && .a != 2`, as the one condition that Tempo makes of them."""

    field: Field
    op: Op
    values: tuple[Value, ...]


Rewritten: TypeAlias = "Expression | OneOf"
Reader: TypeAlias = Callable[[Field], Value]
Evaluator: TypeAlias = Callable[[Reader], Value]
Test: TypeAlias = Callable[[Value], bool]


def compiled(e: Rewritten) -> Evaluator:
    match e:
        case Attribute() | Intrinsic():
            return lambda read: read(e)
        case Literal(value):
            return lambda read: value
        case OneOf(named, op, values):
            holds = one_of(op, values)
            return lambda read: holds(read(named))
        case Not(operand):
            inner = compiled(operand)
            return lambda read: inner(read) is False
        case Negative(operand):
            inner = compiled(operand)
            return lambda read: _negative(inner(read))
        case Logical(operands, junctions):
            return _logical([compiled(operand) for operand in operands], junctions)
        case Binary(op, left, Literal(constant_value)) if op in COMPARISONS:
            inner, holds = compiled(left), test(op, constant_value)
            return lambda read: holds(inner(read))
        case Binary(op, left, right):
            first, second = compiled(left), compiled(right)
            apply = _compare if op in COMPARISONS else _calculate
            return lambda read: apply(op, first(read), second(read))


def _negative(value: Value) -> Value:
    number: Any = value
    return type(number)(-number) if type_of(value) in NUMERIC else None


def _logical(operands: list[Evaluator], junctions: tuple[Junction, ...]) -> Evaluator:
    if Junction.OR not in junctions:
        return lambda read: all(operand(read) is True for operand in operands)
    if Junction.AND not in junctions:
        return lambda read: any(operand(read) is True for operand in operands)

    def from_the_left(read: Reader) -> Value:
        result = operands[0](read) is True
        for junction, operand in zip(junctions, operands[1:], strict=True):
            if result is (junction is Junction.OR):
                continue
            result = operand(read) is True
        return result

    return from_the_left


def test(op: Op, operand: Value) -> Test:
    """A comparison against a constant, the pattern of a regex compiled once."""
    if operand is None:
        wanted = op is Op.NE
        return lambda value: (value is not None) is wanted
    if op in REGEX:
        if not isinstance(operand, str):
            return lambda value: False
        program, positive = pattern(operand), op is Op.RE
        return _over_elements(op, lambda text: isinstance(text, str) and bool(program.fullmatch(text)) is positive)
    if isinstance(operand, str) and op is Op.EQ:
        return lambda value: value == operand if type(value) is str else type(value) is list and operand in value
    return _over_elements(op, lambda value: _compare_scalars(op, value, operand))


def one_of(op: Op, operands: tuple[Value, ...]) -> Test:
    """Any of the operands for = and =~; none of them for != and !~. An array with one of them is not without it."""
    if op is Op.EQ and all(type(operand) is str for operand in operands):
        wanted = frozenset(operands)
        return _over_elements(op, lambda value: type(value) is str and value in wanted)
    tests = [test(op, operand) for operand in operands]
    if op in (Op.EQ, Op.RE):
        return lambda value: any(holds(value) for holds in tests)
    return lambda value: all(holds(value) for holds in tests)


def _over_elements(op: Op, holds: Test) -> Test:
    """An array matches where any element does; for != and !~ where all do."""
    every = op in (Op.NE, Op.NRE)

    def over(value: Value) -> bool:
        if type(value) is not list:
            return holds(value)
        return all(map(holds, value)) if every else any(map(holds, value))

    return over


def _compare(op: Op, left: Value, right: Value) -> bool:
    """A comparison of two values that both depend on the span."""
    if type(right) is list:
        if type(left) is list:
            return False
        left, right, op = right, left, _FLIPPED.get(op, op)
    return test(op, right)(left) if op in REGEX else _over_elements(op, lambda v: _compare_scalars(op, v, right))(left)


_FLIPPED = {Op.LT: Op.GT, Op.LE: Op.GE, Op.GT: Op.LT, Op.GE: Op.LE}


def _compare_scalars(op: Op, left: Value, right: Value) -> bool:
    kinds = type_of(left), type_of(right)
    if not fit(*kinds) or not (allowed(op, kinds[0]) and allowed(op, kinds[1])):
        return False
    if op is Op.EQ:
        return equal(left, right)
    if op is Op.NE:
        return left is not None and right is not None and not equal(left, right)
    if Type.NIL in kinds:
        return False
    a: Any = left
    b: Any = right
    if op is Op.LT:
        return bool(a < b)
    if op is Op.LE:
        return bool(a <= b)
    if op is Op.GT:
        return bool(a > b)
    return bool(a >= b)


def _calculate(op: Op, left: Value, right: Value) -> Value:
    """Whole numbers stay whole; anything else, durations too, becomes a float. What cannot be worked out is nil."""
    kinds = type_of(left), type_of(right)
    if kinds[0] not in NUMERIC or kinds[1] not in NUMERIC:
        return False
    try:
        if kinds == (Type.INT, Type.INT):
            return _integers(op, left, right)  # type: ignore[arg-type]
        return _floats(op, as_float(left), as_float(right))
    except (ZeroDivisionError, OverflowError, ValueError):
        return None


def _integers(op: Op, a: int, b: int) -> Value:
    match op:
        case Op.ADD:
            result = a + b
        case Op.SUB:
            result = a - b
        case Op.MUL:
            result = a * b
        case Op.DIV:  # toward zero, as Go divides
            result = abs(a) // abs(b) * (1 if (a < 0) is (b < 0) else -1)
        case Op.MOD:
            result = abs(a) % abs(b) * (1 if a >= 0 else -1)
        case _:
            result = 1 if b <= 0 else a**b if b < 64 or abs(a) < 2 else 2**63
    return result if -(2**63) <= result < 2**63 else None


def _floats(op: Op, a: float, b: float) -> Value:
    match op:
        case Op.ADD:
            return a + b
        case Op.SUB:
            return a - b
        case Op.MUL:
            return a * b
        case Op.DIV:
            return a / b
        case Op.MOD:
            return math.fmod(a, b)
        case _:
            return math.pow(a, b)


def constant(op: Op, left: Literal, right: Literal) -> Literal:
    """An operation on two constants, worked out: `1 + 1` is 2, also for the store that looks for it."""
    if op in COMPARISONS:
        return Literal(_compare(op, left.value, right.value))
    return Literal(_calculate(op, left.value, right.value))
