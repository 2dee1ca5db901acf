"""The rules in force in this process: files and database together, compiled once and again when the database changes.

live = LiveRules(database, files, book, apply)
await live.refresh()        after a change of one's own: at once
live.watch()                changes by other processes: within POLL_S seconds
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from app.analysis import rulebook
from app.analysis.rulebook import Rule, RuleBook, RuleText
from app.db.session import Database
from app.house import book, store
from app.house.book import Compiled, Skipped

_log = logging.getLogger("clew.house")

POLL_S = 10.0
_NEVER = (0, 0)


class LiveRules:
    """One per process; close it.

    files: the house's rule files; they are read at start only.
    ready: the shipped rules with the files, compiled.
    apply: told of each new rule book, so that judging goes on with it and verdicts of the old one are forgotten.
    """

    def __init__(
        self, database: Database, files: Sequence[RuleText], ready: RuleBook, apply: Callable[[RuleBook], None]
    ) -> None:
        self.files = tuple(files)
        self.documents: tuple[RuleText, ...] = ()  # the enabled texts of the database
        self.database = database
        self._without = ready
        self._apply = apply
        self._compiled = Compiled(ready)
        self._seen = _NEVER
        self._turn = asyncio.Lock()
        self.trials = asyncio.Semaphore(1)  # one at a time: each takes a processor for a second
        self._watching: asyncio.Task[None] | None = None

    @property
    def book(self) -> RuleBook:
        return self._compiled.book

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Enabled texts that cannot be used any more."""
        return self._compiled.skipped

    def text_of(self, rule: Rule) -> str:
        """The lines in which a rule in force is written, without what stands around it."""
        if rule.document:
            text = next((one.text for one in self.documents if one.document == rule.document), "")
        elif rule.house:
            text = next((one.text for one in self.files if one.file == rule.file), "")
        else:
            text = rulebook.data(rule.file)
        return rulebook.excerpt(rule, text)

    def beside(self, document: str = "") -> list[RuleText]:
        """The enabled texts of the database that can be used, without one of them."""
        unusable = {one.document for one in self.skipped}
        return [text for text in self.documents if text.document != document and text.document not in unusable]

    async def refresh(self) -> None:
        """Take up what the database says now. Errors: those of the database."""
        async with self._turn:
            async with self.database.reading() as db:
                seen = await store.seen(db)
                if seen == self._seen:
                    return
                documents = tuple(await store.enabled(db))
            if documents != self.documents:
                compiled = (
                    await asyncio.to_thread(book.compiled, self.files, documents) if documents else Compiled(self._without)
                )
                self.documents, self._compiled = documents, compiled
                for one in compiled.skipped:
                    _log.warning("the house rule %s is not used: line %d: %s", one.name, one.line, one.why)
                self._apply(compiled.book)
            self._seen = seen

    def watch(self) -> None:
        """Look for changes by other processes from now on."""
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                await self.refresh()
            except Exception as error:  # the edge of a background task: whatever it was, the next look may succeed
                # The rules stay what they were; the database's own trouble is told where it is used.
                _log.warning("the house rules could not be looked at: %s", type(error).__name__)

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
