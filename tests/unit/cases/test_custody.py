from __future__ import annotations

import hashlib
import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cases import custody
from app.cases.custody import GENESIS, Action, Link

CASE = "CASE-0001"


def chain(length: int, case: str = CASE) -> list[Link]:
    links: list[Link] = []
    for seq in range(1, length + 1):
        entry = custody.entry(
            case=case, seq=seq, at_ns=seq * 10**9, actor="ines", action=Action.NOTE_ADDED, subject=f"N{seq}",
            digest=custody.digest_of({"note": seq}), facts={"revision": 1},
        )  # fmt: skip
        links.append(custody.bind(links[-1].hash if links else GENESIS, entry))
    return links


def check(links: list[Link], whole: list[Link]) -> custody.ChainCheck:
    return custody.verify(links, case=CASE, head=whole[-1].hash, count=len(whole))


def test_a_whole_chain_passes_and_names_its_head():
    links = chain(20)
    found = check(links, links)
    assert found.whole
    assert (found.entries, found.head) == (20, links[-1].hash)


def test_the_hash_is_sha256_of_the_hash_before_and_the_canonical_line():
    first, second = chain(2)
    line = json.dumps(json.loads(first.record), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert first.record == line
    assert first.hash == hashlib.sha256(bytes(32) + line).digest()
    assert second.hash == hashlib.sha256(first.hash + second.record).digest()


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.text(st.characters(exclude_categories=["Cs"])) | st.booleans() | st.none(),
    )
)
def test_canonical_lines_are_what_any_sorting_json_writer_makes(facts):
    # Python sorts by code point, as UTF-8 bytes do.
    expected = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert custody.canonical(facts) == expected


def damage(links: list[Link], how: str, at: int, rng: random.Random) -> list[Link]:
    """The links with one thing done to the entry at index `at`."""
    changed = list(links)
    link = changed[at]
    if how == "delete":
        del changed[at]
    elif how == "swap":
        changed[at], changed[at + 1] = changed[at + 1], changed[at]
    elif how == "insert":
        changed.insert(at, link)
    elif how == "truncate":
        del changed[at:]
    else:
        part = bytearray(getattr(link, how))
        part[rng.randrange(len(part))] ^= 1 << rng.randrange(8)
        changed[at] = msgspec.structs.replace(link, **{how: bytes(part)})
    return changed


@pytest.mark.parametrize("how", ["record", "prev", "hash", "delete", "swap", "insert", "truncate"])
def test_any_change_is_found_at_the_first_entry_it_touches(how):
    links, rng = chain(40), random.Random(how)
    for _ in range(150):
        at = rng.randrange(len(links) - 1)
        found = check(damage(links, how, at, rng), links)
        # A doubled entry still fits where it stood; its double does not.
        expected = at + 2 if how == "insert" else at + 1
        assert found.first_bad == expected, (how, at, found)
        assert found.why


def test_renumbering_is_found():
    links = chain(5)
    links[2] = msgspec.structs.replace(links[2], seq=7)
    assert custody.verify(links, case=CASE).first_bad == 3


def test_a_tail_cut_off_shows_only_against_the_head_or_the_count():
    links = chain(5)
    assert custody.verify(links[:3], case=CASE).whole
    assert custody.verify(links[:3], case=CASE, head=links[-1].hash).first_bad == 3
    assert custody.verify(links[:3], case=CASE, count=5).first_bad == 4
    assert custody.verify([], case=CASE, head=links[-1].hash, count=5).first_bad == 1


def test_a_chain_of_another_case_does_not_pass_for_this_ones():
    links = chain(3, case="CASE-0002")
    found = custody.verify(links, case=CASE, head=links[-1].hash, count=3)
    assert found.first_bad == 1
    assert "another place" in found.why


def test_an_entry_rewritten_with_its_hashes_is_found_at_the_one_after():
    links = chain(4)
    entry = msgspec.structs.replace(links[1].entry, actor="mallory")
    links[1] = custody.bind(links[0].hash, entry)
    assert check(links, links).first_bad == 3


def test_an_empty_chain_is_whole():
    found = custody.verify([], case=CASE, head=GENESIS, count=0)
    assert found.whole
    assert found.entries == 0
