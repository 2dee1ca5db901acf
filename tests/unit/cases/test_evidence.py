from __future__ import annotations

import hashlib
import json

import msgspec
import pytest
from support import case_samples as sample

from app.cases import evidence
from app.cases.evidence import Completeness
from app.errors import EvidenceChanged
from app.times import from_datetime

AT = from_datetime(sample.NOW)


def kept(**given) -> evidence.Item:
    return evidence.item(sample.capture(**given), number=3, by="Ines Varga", at_ns=AT)


def test_an_item_holds_the_hash_of_the_bytes_as_received_and_where_they_came_from():
    item = kept()
    assert item.name == "E3"
    assert item.sha256 == hashlib.sha256(sample.body()).hexdigest()
    assert item.size == len(sample.body())
    assert item.title == "edge-gateway: PUT /api/orders/{id}"
    assert (item.tenant, item.backend, item.query) == ("shop", "Tempo 3.0.3", "{ status = error }")
    assert item.source_url == "http://tempo:3200/api/v2/traces/" + sample.TRACE_ID
    assert (item.captured_ns, item.captured_by) == (AT, "Ines Varga")
    assert json.loads(item.verdict)["outcome"] == "bypassed"


def test_completeness_says_who_lost_what():
    assert kept().completeness is Completeness.WHOLE
    partial = kept(partial=True)
    assert partial.completeness is Completeness.PARTIAL
    assert partial.completeness_note == "trace exceeds max size"
    cut = json.loads(sample.body())
    cut["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["droppedAttributesCount"] = 4
    assert kept(data=json.dumps(cut).encode()).completeness is Completeness.TRUNCATED


def test_unchanged_bytes_pass_and_changed_ones_are_named():
    item, body = kept(), sample.body()
    evidence.check(item, body)
    for wrong in (body[:-1], body + b" ", b"", body.replace(b"orders", b"0rders")):
        with pytest.raises(EvidenceChanged, match="E3 is not what was received"):
            evidence.check(item, wrong)
    with pytest.raises(EvidenceChanged, match="The bytes of E3 are gone"):
        evidence.check(item, None)


@pytest.mark.parametrize("field", [field.name for field in msgspec.structs.fields(evidence.Item) if field.name != "kind"])
def test_the_digest_covers_every_fact(field):
    item = kept()
    value = getattr(item, field)
    other = {"completeness": Completeness.PARTIAL}.get(field, value + 1 if isinstance(value, int) else f"{value}x")
    assert msgspec.structs.replace(item, **{field: other}).digest != item.digest


@pytest.mark.parametrize(
    ("new", "old", "speaks"),
    [("whole", "whole", True), ("whole", "partial", True), ("partial", "whole", False), ("truncated", "whole", False),
     ("truncated", "partial", True)],
)  # fmt: skip
def test_a_lesser_capture_never_speaks_over_a_whole_one(new, old, speaks):
    assert evidence.replaces(Completeness(new), Completeness(old)) is speaks
