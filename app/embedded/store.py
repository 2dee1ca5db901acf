"""The span store: one SQLite file, one connection that writes, any number that only read.

traces    one row per trace: when it began and ended, its root, its counts. `bucket` is the second in which the first spans
          to arrive began; it never changes, so that the index can carry it.
parts     the spans, as codec.py writes them; one part per trace and commit. A trace's parts are one range of ids.
postings  the index: which traces hold a value of a key. A value's traces lie together in the order of time.
keys      the numbers of attribute names.

A batch is acknowledged when its transaction is committed. With WAL and synchronous=NORMAL that survives the death of the
process at any moment (kill -9 included); a power cut may take the last commits with it, but never harms the file.
Only the writer checkpoints: SQLite before 3.51.3 can lose pages where two connections do.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, TypeAlias

from app.embedded import codec
from app.embedded.terms import Indexed, Indexer, Key, KeyRange, Keys, Terms
from app.errors import AppError
from app.times import HOUR, SECOND
from app.traces.model import Span, Status

_log = logging.getLogger(__name__)

VERSION = 1
LONG_S = 3600  # a trace that reaches further from its bucket is found through a list of its own
_PARTS = 2**20  # ids of a trace's parts: its own number times this, and upwards
_MOST_SPANS = 20_000  # in one transaction
_DELETED_AT_ONCE = 200

_SCHEMA = """
CREATE TABLE traces (
    id INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL UNIQUE,
    bucket INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    received_s INTEGER NOT NULL,
    longest_ns INTEGER NOT NULL,
    shortest_ns INTEGER NOT NULL,
    root_name TEXT,
    root_service TEXT,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    long INTEGER NOT NULL
);
CREATE INDEX traces_by_bucket ON traces (bucket);
CREATE INDEX traces_by_received ON traces (received_s);
CREATE INDEX long_traces ON traces (id) WHERE long;
CREATE TABLE parts (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE postings (key INTEGER, value, bucket INTEGER, trace INTEGER, PRIMARY KEY (key, value, bucket, trace))
    WITHOUT ROWID;
CREATE TABLE keys (id INTEGER PRIMARY KEY, scope TEXT, name TEXT, type TEXT, first INTEGER, last INTEGER);
"""

_UPSERT = """
INSERT INTO traces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    start_ns = min(start_ns, excluded.start_ns), end_ns = max(end_ns, excluded.end_ns), received_s = excluded.received_s,
    longest_ns = max(longest_ns, excluded.longest_ns), shortest_ns = min(shortest_ns, excluded.shortest_ns),
    root_name = coalesce(root_name, excluded.root_name), root_service = coalesce(root_service, excluded.root_service),
    spans = spans + excluded.spans, errors = errors + excluded.errors, parts = excluded.parts,
    bytes = bytes + excluded.bytes, long = max(long, excluded.long)
"""

_BLOCK = 200
_INSERT_POSTING = "INSERT OR IGNORE INTO postings VALUES (?, ?, ?, ?)"
_INSERT_BLOCK = _INSERT_POSTING + ", (?, ?, ?, ?)" * (_BLOCK - 1)

_Job: TypeAlias = "tuple[Sequence[Span], Future[None]]"


class StoreError(AppError):
    """The store cannot be opened or written."""


@dataclass(frozen=True, slots=True)
class Retention:
    """Spans are kept this long after they arrived, and the oldest go when the file holds more than this."""

    age_s: int = 72 * HOUR // SECOND
    max_bytes: int = 5 * 2**30


@dataclass(slots=True)
class _Known:
    id: int
    bucket: int
    parts: int


class Store:
    """Opened once; `append` and `close` from any thread, `connect` for readers."""

    def __init__(
        self,
        folder: Path,
        retention: Retention,
        *,
        clock: Callable[[], float] = time.time,
        on_commit: Callable[[Sequence[Span]], None] = lambda spans: None,
    ) -> None:
        """on_commit: called in the writer's thread with the spans of each commit.

        Errors: StoreError in a sentence.
        """
        self.retention = retention
        self._clock = clock
        self._on_commit = on_commit
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path = folder / "spans.db"
            self._lock = _locked(folder)
        except OSError as error:
            raise StoreError(f"The span store in {folder} cannot be opened: {error}.") from None
        try:
            self._db = _open(self.path)
            self._traces: OrderedDict[bytes, _Known] = OrderedDict()
            self._next_trace = self._one("SELECT coalesce(max(id), 0) + 1 FROM traces")
            self.keys = _load_keys(self._db)
        except sqlite3.Error as error:
            self._lock.close()
            raise StoreError(f"The span store in {folder} cannot be opened: {error}.") from None
        self._indexer = Indexer(self.keys)
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._waiting = 0
        self._counting = threading.Lock()
        self._closing = False
        self._keys_saved = self._retained = clock()
        self.bytes_used = self._used_bytes()
        self._thread = threading.Thread(target=self._work, name="span-store", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------------------------------------ any thread

    @property
    def waiting(self) -> int:
        """Spans accepted for writing and not committed yet."""
        return self._waiting

    def append(self, spans: Sequence[Span]) -> Future[None]:
        """Store the spans; the future is done when they are committed, or carries the StoreError."""
        done: Future[None] = Future()
        if self._closing:
            done.set_exception(StoreError("The span store is closing."))
            return done
        with self._counting:
            self._waiting += len(spans)
        self._queue.put((spans, done))
        return done

    def connect(self) -> sqlite3.Connection:
        """A connection that can only read. It must be closed before the store is."""
        db = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA mmap_size = 0")
        db.execute("PRAGMA cache_size = -32768")
        return db

    def close(self) -> None:
        """Write what is waiting, then close."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        self._thread.join()

    # ------------------------------------------------------------------------------------------- the writer's thread

    def _work(self) -> None:
        while True:
            try:
                job = self._queue.get(timeout=1)
            except Empty:
                self._idle()
                continue
            if job is None:
                break
            jobs = [job]
            count = len(job[0])
            while count < _MOST_SPANS and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    self._queue.put(None)
                    break
                jobs.append(following)
                count += len(following[0])
            self._commit(jobs)
            self._idle()
        self._save_keys()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()
        self._lock.close()

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            self._write([span for spans, _ in jobs for span in spans])
        except sqlite3.Error as error:
            self._failed(jobs, f"The span store cannot be written: {error}.")
        except Exception:
            # Something in these spans is more than the store can take. One sender's must not fail the others'.
            if len(jobs) > 1:
                for job in jobs:
                    self._commit([job])
                return
            _log.exception("These spans cannot be written.")
            self._failed(jobs, "These spans cannot be written.")
        else:
            self._written(jobs)

    def _written(self, jobs: list[_Job]) -> None:
        self.keys.fresh.clear()
        for spans, done in jobs:
            self._tell(spans)
            with self._counting:
                self._waiting -= len(spans)
            done.set_result(None)

    def _failed(self, jobs: list[_Job], sentence: str) -> None:
        self._traces.clear()  # it may name traces that were not written after all
        for spans, done in jobs:
            with self._counting:
                self._waiting -= len(spans)
            done.set_exception(StoreError(sentence))

    def _tell(self, spans: Sequence[Span]) -> None:
        try:
            self._on_commit(spans)
        except Exception:  # whatever it was, the spans are stored, and the writer must go on
            _log.exception("The spans are stored, but what counts them failed.")

    def _in_transaction(self, act: Callable[[], object]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            act()
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _write(self, spans: Sequence[Span]) -> None:
        """One transaction. Rows are made before it begins."""
        by_trace: defaultdict[str, list[Span]] = defaultdict(list)
        for span in spans:
            by_trace[span.trace_id].append(span)
        now = int(self._clock())
        traces, parts = [], []
        postings: list[tuple[int, Indexed, int, int]] = []
        for trace_id, members in by_trace.items():
            key = bytes.fromhex(trace_id)
            start_ns = min(span.start_ns for span in members)
            known = self._known(key, start_ns // SECOND)
            body = codec.encode(members)
            parts.append((known.id * _PARTS + known.parts, body))
            known.parts += 1
            traces.append(_trace_row(key, known, members, start_ns, now, len(body)))
            terms = self._indexer.terms(members, known.bucket)
            postings += [(number, value, known.bucket, known.id) for number, value in terms]
        postings.sort(key=lambda posting: posting[0])  # neighbours go to the same page

        def insert() -> None:
            self._db.executemany(_UPSERT, traces)
            self._db.executemany("INSERT INTO parts VALUES (?, ?)", parts)
            self._insert_postings(postings)
            self._save_fresh_keys()

        self._in_transaction(insert)

    def _insert_postings(self, postings: list[tuple[int, Indexed, int, int]]) -> None:
        # Most of a commit's time is spent here; rows a block at a time cost a fifth less than one by one.
        whole = len(postings) - len(postings) % _BLOCK
        for start in range(0, whole, _BLOCK):
            block = postings[start : start + _BLOCK]
            self._db.execute(_INSERT_BLOCK, list(chain.from_iterable(block)))
        self._db.executemany(_INSERT_POSTING, postings[whole:])

    def _known(self, trace_id: bytes, bucket: int) -> _Known:
        known = self._traces.get(trace_id)
        if known is not None:
            self._traces.move_to_end(trace_id)
            return known
        row = self._db.execute("SELECT id, bucket, parts FROM traces WHERE trace_id = ?", (trace_id,)).fetchone()
        if row:
            known = _Known(*row)
        else:
            known = _Known(self._next_trace, bucket, 0)
            self._next_trace += 1
        self._traces[trace_id] = known
        if len(self._traces) > 100_000:
            self._traces.popitem(last=False)
        return known

    def _save_fresh_keys(self) -> None:
        for key in self.keys.fresh:
            known = self.keys.ranges[key]
            self._db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)", (known.id, *key, known.first, known.last))

    def _save_keys(self) -> None:
        rows = [(known.first, known.last, known.id) for known in self.keys.ranges.values()]
        self._in_transaction(lambda: self._db.executemany("UPDATE keys SET first = ?, last = ? WHERE id = ?", rows))

    # ------------------------------------------------------------------------------------------------ housekeeping

    def _idle(self) -> None:
        now = self._clock()
        if now - self._keys_saved > 30:
            self._keys_saved = now
            self._save_keys()
        if now - self._retained > min(10, self.retention.age_s):
            self._retained = now
            self.forget(now)
            self.bytes_used = self._used_bytes()

    def forget(self, now: float) -> int:
        """Delete what is past its age, then the oldest while the file holds too much; returns the traces deleted.

        For the writer's thread. Space is used again rather than given back: the file stays at its largest size.
        """
        deleted = 0
        while True:
            too_old = now - self.retention.age_s
            ids = self._ids("SELECT id FROM traces WHERE received_s < ? ORDER BY received_s LIMIT ?", int(too_old))
            if not ids and self._used_bytes() > self.retention.max_bytes:
                ids = self._ids("SELECT id FROM traces WHERE id > ? ORDER BY id LIMIT ?", 0)
            if not ids:
                return deleted
            self._in_transaction(lambda ids=ids: self._delete(ids))  # type: ignore[misc]
            deleted += len(ids)

    def _used_bytes(self) -> int:
        """Bytes of the file in use, without the pages that are free to be used again."""
        pages = self._one("PRAGMA page_count") - self._one("PRAGMA freelist_count")
        return pages * self._one("PRAGMA page_size")

    def _ids(self, query: str, argument: int) -> list[int]:
        return [row[0] for row in self._db.execute(query, (argument, _DELETED_AT_ONCE))]

    def _delete(self, ids: Iterable[int]) -> None:
        for number in ids:
            trace_id, bucket = self._db.execute("SELECT trace_id, bucket FROM traces WHERE id = ?", (number,)).fetchone()
            bodies = self._db.execute("SELECT body FROM parts WHERE id >= ? AND id < ?", part_ids(number))
            terms: Terms = self._indexer.terms(codec.decode(trace_id.hex(), (row[0] for row in bodies)), bucket)
            self._db.executemany(
                "DELETE FROM postings WHERE key = ? AND value = ? AND bucket = ? AND trace = ?",
                [(key, value, bucket, number) for key, value in terms],
            )
            self._db.execute("DELETE FROM parts WHERE id >= ? AND id < ?", part_ids(number))
            self._db.execute("DELETE FROM traces WHERE id = ?", (number,))
            self._traces.pop(trace_id, None)

    def _one(self, query: str) -> int:
        return int(self._db.execute(query).fetchone()[0])


def _locked(folder: Path) -> IO[str]:
    """Held for as long as the process lives: a second backend on one folder would break the rule of one writer."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise OSError("another backend is using it") from None
    return lock


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    try:
        _prepare(db)
    except sqlite3.Error:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA mmap_size = 0")
    db.execute("PRAGMA cache_size = -65536")
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    elif version != VERSION:
        raise sqlite3.DatabaseError("it was written by another version of Clew")


def _load_keys(db: sqlite3.Connection) -> Keys:
    # `last` is saved now and then only: after a crash it may be a minute behind.
    rows = db.execute("SELECT scope, name, type, id, first, last + 60 FROM keys")
    return Keys((Key(*row[:3]), KeyRange(*row[3:])) for row in rows)


def part_ids(trace: int) -> tuple[int, int]:
    """The first of a trace's part ids, and the first past them."""
    return trace * _PARTS, (trace + 1) * _PARTS


def _trace_row(trace_id: bytes, known: _Known, spans: Sequence[Span], start_ns: int, now: int, size: int) -> tuple[object, ...]:
    end_ns = max(span.end_ns for span in spans)
    durations = [span.duration_ns for span in spans]
    root = next((span for span in spans if not span.parent_id), None)
    errors = sum(span.status is Status.ERROR for span in spans)
    is_long = end_ns // SECOND - known.bucket > LONG_S or known.bucket - start_ns // SECOND > LONG_S
    return (
        known.id, trace_id, known.bucket, start_ns, end_ns, now, max(durations), min(durations),
        root.name if root else None, root.service if root else None, len(spans), errors, known.parts, size, int(is_long),
    )  # fmt: skip
