"""Prometheus remote write, version 1: series with their samples and exemplars as the one message its receiver reads.

Hand-encoded, since the message has five fields and its compression can be had without compressing: a Snappy block may
consist of literals only. Source: prometheus.io/docs/specs/prw/remote_write_spec, google/snappy format_description.txt.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

import msgspec

# The bit pattern by which Prometheus marks the end of a series.
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
_LARGEST_LITERAL = 2**16


class Exemplar(msgspec.Struct, frozen=True):
    labels: dict[str, str]
    value: float
    time_ms: int


class Series(msgspec.Struct, frozen=True):
    """One series; samples as (milliseconds, value) in order of time."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[int, float]]
    exemplars: Sequence[Exemplar] = ()


def encode(series: Iterable[Series]) -> bytes:
    """The body of one request, compressed as the receiver demands."""
    return snappy(b"".join(_field(1, _series(one)) for one in series))


def snappy(plain: bytes) -> bytes:
    """A valid Snappy block that stores `plain` as it is."""
    parts = [_varint(len(plain))]
    for start in range(0, len(plain), _LARGEST_LITERAL):
        piece = plain[start : start + _LARGEST_LITERAL]
        # Tag 61: a literal whose length, less one, follows in two bytes.
        parts.append(bytes([61 << 2]) + struct.pack("<H", len(piece) - 1) + piece)
    return b"".join(parts)


def _series(series: Series) -> bytes:
    # Labels have to be sorted by name.
    parts = [_field(1, _label(name, series.labels[name])) for name in sorted(series.labels)]
    parts += [_field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + _varint(time_ms)) for time_ms, value in series.samples]
    parts += [_field(3, _exemplar(exemplar)) for exemplar in series.exemplars]
    return b"".join(parts)


def _exemplar(exemplar: Exemplar) -> bytes:
    labels = b"".join(_field(1, _label(name, exemplar.labels[name])) for name in sorted(exemplar.labels))
    return labels + b"\x11" + struct.pack("<d", exemplar.value) + b"\x18" + _varint(exemplar.time_ms)


def _label(name: str, value: str) -> bytes:
    return _field(1, name.encode()) + _field(2, value.encode())


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
