"""The chain of custody: who did what to a case's evidence, notes and exports, each entry bound to the one before.

An entry is a line of canonical JSON (keys sorted, no spaces, UTF-8: RFC 8785 for the values used here). Its hash is
SHA-256 over the 32 bytes of the previous hash followed by that line; the first entry follows 32 zero bytes. Changing,
removing, adding or reordering entries breaks every hash after it. Only cutting entries off the end leaves a valid chain,
which is why the head (last hash) and the count are kept beside the chain and are given out with every export.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec
import orjson

from app.times import iso

GENESIS = bytes(32)

Fact: TypeAlias = str | int | bool | None
Facts: TypeAlias = Mapping[str, Fact]


class Action(enum.StrEnum):
    """What may happen to the things that the chain covers."""

    CASE_OPENED = "case.opened"
    ALERT_LINKED = "alert.linked"
    EVIDENCE_PRESERVED = "evidence.preserved"
    EVIDENCE_DOWNLOADED = "evidence.downloaded"
    EVIDENCE_VERIFIED = "evidence.verified"
    NOTE_ADDED = "note.added"
    NOTE_EDITED = "note.edited"
    EVENT_ADDED = "event.added"
    TIMELINE_EXPORTED = "timeline.exported"


class Entry(msgspec.Struct, frozen=True):
    """One act.

    at:      ISO 8601 in UTC with nine digits of a second.
    subject: what it was done to: `E3`, `N1`, an alert's fingerprint, an export's file name.
    digest:  SHA-256 over the subject's canonical facts (`digest_of`), so that the chain covers what it speaks of.
    facts:   further words for the reader, such as an export's format and number of events.
    """

    case: str
    seq: int
    at: str
    actor: str
    action: str
    subject: str
    digest: str
    facts: dict[str, Fact] = {}


class Link(msgspec.Struct, frozen=True):
    """An entry as stored: its canonical line, the hash before it, and its own. Bytes, so that damage stays readable."""

    seq: int
    record: bytes
    prev: bytes
    hash: bytes

    @property
    def entry(self) -> Entry:
        """The entry that the line holds. Errors: msgspec.DecodeError where the line was tampered with."""
        return msgspec.json.decode(self.record, type=Entry)


class ChainCheck(msgspec.Struct, frozen=True):
    """What checking a chain found. `first_bad` is the number of the first entry that does not fit, with `why`."""

    entries: int
    head: bytes
    first_bad: int | None = None
    why: str = ""

    @property
    def whole(self) -> bool:
        return self.first_bad is None


def canonical(facts: object) -> bytes:
    """Canonical JSON of plain values."""
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)


def digest_of(facts: Facts) -> str:
    """SHA-256 in hex over the canonical JSON of a subject's unchanging facts."""
    return hashlib.sha256(canonical(dict(facts))).hexdigest()


def entry(*, case: str, seq: int, at_ns: int, actor: str, action: Action, subject: str, digest: str, facts: Facts) -> Entry:
    return Entry(case=case, seq=seq, at=iso(at_ns, digits=9), actor=actor, action=action.value, subject=subject,
                 digest=digest, facts=dict(facts))  # fmt: skip


def bind(prev: bytes, act: Entry) -> Link:
    """The entry as the next link after the hash `prev`."""
    line = canonical(msgspec.to_builtins(act))
    return Link(seq=act.seq, record=line, prev=prev, hash=_hash(prev, line))


def verify(links: Iterable[Link], *, case: str, head: bytes | None = None, count: int | None = None) -> ChainCheck:
    """Check a chain from its first entry on; names the first one that does not fit.

    head, count: what was kept or printed elsewhere; with them a tail that was cut off shows too.
    """
    expected, seen = GENESIS, 0
    for link in links:
        number = seen + 1
        if why := _fault(link, number, expected, case):
            return ChainCheck(entries=seen, head=expected, first_bad=number, why=why)
        expected, seen = link.hash, number
    if count is not None and seen < count:
        return ChainCheck(entries=seen, head=expected, first_bad=seen + 1, why=f"entries {seen + 1} to {count} are missing")
    if (head is not None and head != expected) or (count is not None and seen > count):
        return ChainCheck(entries=seen, head=expected, first_bad=max(seen, 1), why="the last entry is not the recorded head")
    return ChainCheck(entries=seen, head=expected)


def _fault(link: Link, number: int, prev: bytes, case: str) -> str:
    if link.seq != number:
        return f"an entry numbered {link.seq} stands where {number} belongs"
    if link.prev != prev:
        return "it does not follow the entry before it"
    if _hash(prev, link.record) != link.hash:
        return "its content does not have its hash"
    try:
        # Past the hash only someone who rewrote the whole chain can differ; the line must still speak of this place.
        record = json.loads(link.record)
        stands = record["case"] == case and record["seq"] == number
    except (ValueError, KeyError, TypeError):
        return "it cannot be read"
    return "" if stands else "it belongs to another place"


def _hash(prev: bytes, line: bytes) -> bytes:
    return hashlib.sha256(prev + line).digest()
