import os
import sqlite3
import stat

import pytest

from app.embedded.plan import plan
from app.embedded.reader import EVER, Window
from app.embedded.search import Deadline, Inspected, matching
from app.embedded.store import Retention, StoreError
from app.embedded.terms import LONGEST_VALUE, MAX_KEYS
from app.traceql.match import Matcher
from app.traceql.parse import parse

SECOND = 1_000_000_000


def found(reader, text, window=EVER):
    with reader.snapshot():
        matched = matching(reader, Matcher(parse(text)), window, Deadline(30), Inspected())
        return [int(trace.trace_id, 16) for trace, _ in matched]


def written(store, *spans):
    store.append(spans).result(timeout=10)


def test_a_trace_is_put_together_from_its_parts(open_store, open_reader, make_span):
    store = open_store()
    written(store, make_span("child", parent="00000000000000aa", at=1_000.2))
    written(store, make_span("root", at=1_000.0, lasts=0.5))
    reader = open_reader(store)
    trace = reader.trace(f"{1:032x}")
    assert sorted(span.name for span in trace.spans) == ["child", "root"]
    assert (trace.root_name, trace.duration_ns) == ("root", 500_000_000)
    assert reader.trace(f"{2:032x}") is None


def test_what_was_acknowledged_is_there_after_reopening(open_store, open_reader, make_span):
    store = open_store()
    written(store, *[make_span(trace=n, user=f"u{n % 5}") for n in range(1, 51)])
    store.close()
    again = open_store()
    written(again, make_span(trace=1, user="late"))
    reader = open_reader(again)
    assert len(found(reader, "{ }")) == 50
    assert found(reader, '{ span.user = "u3" }') == [48, 43, 38, 33, 28, 23, 18, 13, 8, 3]
    assert found(reader, '{ span.user = "late" }') == [1]


def test_late_parts_are_found_through_every_term(open_store, open_reader, make_span):
    store = open_store()
    written(store, make_span(a="x"))
    written(store, make_span(b="y", at=900.0))
    reader = open_reader(store)
    assert found(reader, '{ span.a = "x" } && { span.b = "y" }') == [1]
    assert found(reader, '{ span.b = "y" }', Window(899 * SECOND, 901 * SECOND)) == [1]


def test_long_traces_are_found_in_any_window_they_cross(open_store, open_reader, make_span):
    store = open_store()
    written(store, make_span(trace=1, at=1_000.0, lasts=100_000.0, a="x"), make_span(trace=2, at=0.0, lasts=0.1, a="x"))
    written(
        store, make_span(trace=2, at=60_000.0, a="x"), make_span(trace=3, at=60_001.0, a="x"), make_span(trace=4, at=5.0, a="x")
    )
    reader = open_reader(store)
    window = Window(60_000 * SECOND, 60_002 * SECOND)
    assert sorted(found(reader, '{ span.a = "x" }', window)) == [1, 2, 3]
    assert sorted(found(reader, "{ }", window)) == [1, 2, 3]


def test_windows_include_both_ends(open_store, open_reader, make_span):
    store = open_store()
    written(store, make_span(at=1_000.0, lasts=10.0))
    reader = open_reader(store)
    assert found(reader, "{ }", Window(1_010 * SECOND, 1_020 * SECOND))
    assert found(reader, "{ }", Window(990 * SECOND, 1_000 * SECOND))
    assert not found(reader, "{ }", Window(1_010 * SECOND + 1, 1_020 * SECOND))


@pytest.mark.parametrize(
    "value", ["x" * (LONGEST_VALUE + 1), float("inf"), -(2**63), 2**63 - 1, True, "", "a\x00b", ["p", "q"], 1e-300]
)
def test_every_kind_of_value_is_found(open_store, open_reader, make_span, value):
    store = open_store()
    written(store, make_span(trace=1, k=value), make_span(trace=2, k="other"))
    reader = open_reader(store)
    first = value[0] if isinstance(value, list) else value
    if first == float("inf"):
        assert found(reader, "{ span.k > 1e300 }") == [1]
        return
    from app.traceql.nodes import eq, search, span, span_filter
    from app.traceql.write import write

    assert found(reader, write(search(span_filter(eq(span("k"), first))))) == [1]


def test_a_number_beyond_64_bits_is_kept_and_found_as_text(open_store, open_reader, make_span):
    store = open_store()
    written(store, make_span(k=2**70))
    assert found(open_reader(store), f'{{ span.k = "{2**70}" }}') == [1]


def test_nan_is_there_but_equals_nothing(open_store, open_reader, make_span):
    store = open_store()
    written(store, make_span(k=float("nan")))
    reader = open_reader(store)
    assert found(reader, "{ span.k != nil }") == [1]
    assert not found(reader, "{ span.k = 1.0 }")


def test_long_names_are_compared_whole(open_store, open_reader, make_span):
    store = open_store()
    name = "n" * 300
    written(store, make_span(name + "a", trace=1), make_span(name + "b", trace=2))
    reader = open_reader(store)
    assert found(reader, f'{{ name = "{name}b" }}') == [2]
    assert sorted(found(reader, f'{{ name > "{name}a" }}')) == [2]
    assert sorted(found(reader, '{ name =~ "n+[ab]" }')) == [1, 2]


def test_more_names_than_the_index_takes_are_still_found(open_store, open_reader, make_span, monkeypatch):
    monkeypatch.setattr("app.embedded.terms.MAX_KEYS", 20)
    store = open_store()
    written(store, *[make_span(trace=n, **{f"k{n}": n}) for n in range(1, 41)])
    reader = open_reader(store)
    assert len(reader.keys.ranges) == 20
    assert found(reader, "{ span.k40 = 40 }") == [40]
    assert MAX_KEYS > 1_000


def test_the_oldest_go_by_age(open_store, open_reader, make_span):
    now = [10_000.0]
    store = open_store(retention=Retention(age_s=100), clock=lambda: now[0])
    written(store, make_span(trace=1, a="x"))
    now[0] += 50
    written(store, make_span(trace=2, a="x"))
    now[0] += 60
    written(store, make_span(trace=3, a="x"))  # whatever is due is done after a commit
    reader = open_reader(store)
    wait_for(lambda: sorted(found(reader, "{ }")) == [2, 3])
    assert sorted(found(reader, '{ span.a = "x" }')) == [2, 3]
    assert postings(reader, 1) == 0


def test_the_oldest_go_by_size(open_store, open_reader, make_span):
    now = [0.0]
    store = open_store(retention=Retention(max_bytes=2_000_000), clock=lambda: now[0])
    for first in range(1, 4_001, 500):
        written(store, *[make_span(trace=n, text="x" * 1_000, number=n) for n in range(first, first + 500)])
        now[0] += 20
    written(store, make_span(trace=9_999))
    reader = open_reader(store)
    wait_for(lambda: store.bytes_used <= 2_000_000)
    left = sorted(found(reader, "{ }"))
    assert left[-1] == 9_999
    assert left[0] > 1
    assert left[:-1] == list(range(left[0], 4_001))  # the newest, without gaps
    assert postings(reader, 1) == 0


def test_a_trace_deleted_and_sent_again_is_whole(open_store, open_reader, make_span):
    now = [0.0]
    store = open_store(retention=Retention(age_s=10), clock=lambda: now[0])
    written(store, make_span("old", trace=1))
    now[0] += 100
    written(store, make_span(trace=2))
    reader = open_reader(store)
    wait_for(lambda: found(reader, "{ }") == [2])
    written(store, make_span("new", trace=1))
    assert [span.name for span in reader.trace(f"{1:032x}").spans] == ["new"]


def test_one_backend_per_folder(open_store):
    open_store()
    with pytest.raises(StoreError, match="another backend is using it"):
        open_store()


def test_a_store_of_another_version_is_refused(open_store, tmp_path):
    open_store().close()
    db = sqlite3.connect(tmp_path / "spans" / "spans.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="another version of Clew"):
        open_store()


def test_a_damaged_store_is_a_sentence(open_store, tmp_path):
    (tmp_path / "spans").mkdir()
    (tmp_path / "spans" / "spans.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store()


def test_a_failed_write_is_told_and_the_next_one_works(open_store, open_reader, make_span, monkeypatch):
    store = open_store()
    monkeypatch.setattr("app.embedded.codec.encode", lambda spans: object())
    with pytest.raises(StoreError, match="cannot be written"):
        written(store, make_span(trace=1, fresh="key"))
    monkeypatch.undo()
    written(store, make_span(trace=1, fresh="key"))
    assert found(open_reader(store), '{ span.fresh = "key" }') == [1]
    assert store.waiting == 0


def test_nothing_is_taken_after_closing(open_store, make_span):
    store = open_store()
    waiting = [store.append([make_span(trace=n)]) for n in range(1, 20)]
    store.close()
    assert all(done.result(timeout=1) is None for done in waiting)
    with pytest.raises(StoreError, match="closing"):
        store.append([make_span()]).result(timeout=1)


def test_what_counts_the_spans_cannot_stop_the_writer(open_store, make_span, caplog):
    def fail(spans):
        raise RuntimeError("a bug")

    store = open_store(on_commit=fail)
    written(store, make_span())
    written(store, make_span())
    assert "what counts them failed" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_a_sentence(open_store, tmp_path):
    (tmp_path / "spans").mkdir(mode=stat.S_IRUSR)
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store()


def test_readers_cannot_write(open_store, open_reader):
    reader = open_reader(open_store())
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.db.execute("DELETE FROM traces")


def test_the_plan_of_a_popular_value_streams(open_store, open_reader, make_span, monkeypatch):
    """Walking from the newest stops early: a search for something common does not gather it all."""
    monkeypatch.setattr("app.embedded.reader.GATHERED", 10)
    monkeypatch.setattr("app.embedded.reader._FEW", 10)
    store = open_store()
    written(store, *[make_span(trace=n, at=1_000.0 + n, common="yes", rare=n % 7) for n in range(1, 101)])
    reader = open_reader(store)
    query = parse('{ span.common = "yes" && span.rare = 3 }')
    with reader.snapshot():
        candidates = reader.candidates(plan(query, reader.keys, reader.db))
        first = [int(next(candidates).trace_id.hex(), 16) for _ in range(3)]
    assert first == [94, 87, 80]


def postings(reader, trace):
    number = reader.db.execute("SELECT count(*) FROM postings WHERE trace NOT IN (SELECT id FROM traces)").fetchone()[0]
    return number + reader.db.execute("SELECT count(*) FROM traces WHERE id = ?", (trace,)).fetchone()[0]


def wait_for(condition):
    from support.embedded_backend import wait_until

    wait_until(condition)
