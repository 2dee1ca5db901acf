"""A protobuf message as a tree of fields that remember their bytes: change one deep inside, and the lengths stay true."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

# Fields that hold messages, by the path of field numbers from TracesData down; Tempo's wrapper puts one level around them.
_ANY_VALUE = {5: {1: None}, 6: {1: None}}
_PAIR = {2: _ANY_VALUE}
_SPAN = {9: _PAIR, 11: {3: _PAIR}, 13: {4: _PAIR}, 15: {}}
_TRACES = {1: {1: {1: _PAIR}, 2: {1: {3: _PAIR}, 2: _SPAN}}}
_WRAPPED = {1: _TRACES}


class Field:
    """One field: its number, wire type and payload; `inner` where the payload is a message."""

    __slots__ = ("inner", "number", "payload", "raw", "wire")

    def __init__(self, number: int, wire: int, payload: bytes, inner: list[Field] | None) -> None:
        self.number = number
        self.wire = wire
        self.payload = payload
        self.inner = inner
        self.raw = _framed(number, wire, payload)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _framed(number: int, wire: int, payload: bytes) -> bytes:
    head = varint(number << 3 | wire)
    return head + varint(len(payload)) + payload if wire == 2 else head + payload


def parse(body: bytes) -> list[Field]:
    """The fields of a well-formed message of traces."""
    wrapped = body[-7:] == b"too big"
    return list(_fields(body, _WRAPPED if wrapped else _TRACES))


def _fields(body: bytes, shape: dict[int, object]) -> Iterator[Field]:
    position = 0
    while position < len(body):
        key, position = _read_varint(body, position)
        number, wire = key >> 3, key & 7
        inner = None
        if wire == 2:
            length, position = _read_varint(body, position)
            payload = body[position : position + length]
            below = shape.get(number)
            if isinstance(below, dict):
                inner = list(_fields(payload, below))
        elif wire == 0:
            _, end = _read_varint(body, position)
            payload = body[position:end]
        else:
            payload = body[position : position + (8 if wire == 1 else 4)]
        position += len(payload)
        yield Field(number, wire, payload, inner)


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = body[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def changed(
    chance: random.Random,
    fields: Sequence[Field],
    other: Sequence[Field],
    many: int,
    scalar: Callable[[random.Random, int], bytes],
) -> bytes:
    """The message with so many fields changed, dropped, doubled, swapped or taken from another message."""
    edits: dict[int, bytes] = {}
    touched: set[int] = set()
    for _ in range(many):
        way = _way(chance, fields)
        if way:
            touched.update(id(field) for field in way[:-1])
            edits[id(way[-1])] = _edited(chance, way[-1], other, scalar)
    return _written(fields, edits, touched)


def _way(chance: random.Random, fields: Sequence[Field]) -> list[Field]:
    """A field somewhere in the message, after those it lies in."""
    way: list[Field] = []
    while fields:
        field = chance.choice(fields)
        way.append(field)
        if not field.inner or (len(way) > 1 and chance.random() < 0.1):
            break
        fields = field.inner
    return way


def _edited(
    chance: random.Random, field: Field, other: Sequence[Field], scalar: Callable[[random.Random, int], bytes]
) -> bytes:
    way = chance.random()
    if way < 0.55:
        return _framed(field.number, field.wire, scalar(chance, field.wire))
    if way < 0.65:
        return b""
    if way < 0.75:
        return field.raw * chance.choice((2, 2, 3, 40))
    if way < 0.83:
        return _framed(chance.randrange(1, 20), field.wire, field.payload)
    if way < 0.9:
        wire = chance.choice((0, 1, 2, 5))
        return _framed(field.number, wire, scalar(chance, wire))
    if way < 0.94:  # a value within a value within a value
        payload = field.payload
        for _ in range(chance.choice((5, 60, 300))):
            payload = _framed(5, 2, _framed(1, 2, payload))
        return _framed(field.number, 2, payload)
    stranger = _way(chance, other)
    return stranger[-1].raw if stranger else b""


def _written(fields: Sequence[Field], edits: dict[int, bytes], touched: set[int]) -> bytes:
    out = []
    for field in fields:
        mark = id(field)
        if mark in edits:
            out.append(edits[mark])
        elif mark in touched and field.inner is not None:
            out.append(_framed(field.number, 2, _written(field.inner, edits, touched)))
        else:
            out.append(field.raw)
    return b"".join(out)
