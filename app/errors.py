"""The errors Clew raises itself. Each class exists because someone acts differently on it.

    AppError                    what a person may read: its text is a sentence for the page
    ├── InvalidInput            the request or the file is wrong; nothing was changed          422 / exit 2
    │   └── NotATrace           the bytes are not a trace in any encoding Clew reads
    ├── NotFound                absent, or not for these eyes: the two read the same           404
    ├── Conflict                somebody else changed it first                                 409
    ├── SignInNeeded            nobody is signed in, or no longer                               401, or the log-in page
    ├── Forbidden               the role does not allow it; names the role that does           403
    ├── EvidenceChanged         stored bytes no longer match their hash                        409
    └── SourceError             a telemetry source failed; carries source and operation        page stays up
        ├── SourceUnavailable   no answer: refused, timed out, 5xx, broken off                 retry may help
        ├── SourceRefused       it answered no: unauthorised, bad query, over a limit          retry will not help
        └── SourceUnreadable    it answered, but not with what its API promises

Missing data is not an error: it is a Defect, a Gap or a finding.
"""

from __future__ import annotations


class AppError(Exception):
    """Base of all errors with a sentence for the person at the page."""

    @property
    def sentence(self) -> str:
        return str(self)


class InvalidInput(AppError):
    """The caller's input is wrong. `field` names the form field or parameter, where there is one."""

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.field = field


class NotATrace(InvalidInput):
    """The bytes are not a trace in any of the encodings Clew reads."""


class NotFound(AppError):
    """It does not exist, or the reader may not know that it does."""


class Conflict(AppError):
    """Someone changed the same thing first, or it already exists."""


class SignInNeeded(AppError):
    """The request needs a person and carries no session that still lives."""


class Forbidden(AppError):
    """The person's role does not allow it. `needs` names the role that would."""

    def __init__(self, sentence: str, *, needs: str | None = None) -> None:
        super().__init__(sentence)
        self.needs = needs


class EvidenceChanged(AppError):
    """Stored evidence no longer has the hash it was recorded with."""


class SourceError(AppError):
    """A telemetry source failed.

    source:    the name a person knows it by, such as "Tempo"
    operation: what was asked, such as "trace by id"
    detail:    more for the one who repairs it: never credentials, at most 300 characters of the source's own words
    """

    def __init__(self, source: str, operation: str, sentence: str, *, detail: str = "", status: int | None = None) -> None:
        super().__init__(sentence)
        self.source = source
        self.operation = operation
        self.detail = detail[:300]
        self.status = status


class SourceUnavailable(SourceError):
    """No usable answer came: connection refused, timed out, broken off, or a 5xx."""


class SourceRefused(SourceError):
    """The source answered no: unauthorised, bad query, too much asked."""


class SourceUnreadable(SourceError):
    """The source answered with something its API does not promise, or with more than Clew accepts."""
