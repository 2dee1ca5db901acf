"""An answer of a source, and what it means when it is not the one hoped for. Pure."""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Collection

import msgspec

from app.errors import SourceError, SourceRefused, SourceUnavailable
from app.times import SECOND, UnixNanos, from_datetime

ERROR_BYTES = 16_384  # enough of an error page to quote from
NOWHERE = "{} does not know this address (404): the path prefix in its URL is missing or wrong."


class Answer(msgspec.Struct, frozen=True):
    """One answer, whole and decompressed. `url` has no credentials; `media_type` is lower-case, without parameters.

    date_ns: the source's own clock when it answered, to the second; None where it does not tell.
    """

    status: int
    media_type: str
    body: bytes
    url: str
    received_ns: UnixNanos
    retry_after_s: float | None = None
    location: str = ""  # where a redirect leads
    date_ns: UnixNanos | None = None

    @property
    def text(self) -> str:
        """What an error says, as sent: clean it before it is shown. "" for a web page, which says nothing of use."""
        return "" if "html" in self.media_type else self.body[:ERROR_BYTES].decode("utf-8", "replace")


Clean = Callable[[str], str]

# A client's reading of an answer that its API means as an error, or None for the general reading. It is given the
# answer, the operation, and what makes the source's words fit to show.
Refusal = Callable[[Answer, str, Clean], SourceError | None]


def no_reading(answer: Answer, operation: str, clean: Clean) -> SourceError | None:
    return None


def general_refusal(source: str, answer: Answer, operation: str, clean: Clean, *, identified: bool = True) -> SourceError:
    """What a status means whatever the API. identified: whether credentials were sent."""
    status, words = answer.status, clean(answer.text)
    if status == 429:
        wait = f" It asks to wait {answer.retry_after_s:.0f} s." if answer.retry_after_s else ""
        sentence = f"{source} is asked too much at the moment (429).{wait}"
        return SourceUnavailable(source, operation, sentence, detail=words)
    if status >= 500:
        return SourceUnavailable(source, operation, f"{source} failed with status {status}.", detail=words)
    if "no org id" in words:
        sentence = f"{source} asks which tenant is meant: set its tenant in Clew's settings."
    elif status in (401, 403) and not identified:
        sentence = f"{source} asks for credentials ({status}), and Clew's settings hold none for it."
    elif status == 401:
        why = "the user name is not this product's, or the token or password is wrong or has expired"
        sentence = f"{source} does not accept Clew's credentials (401): {why}."
    elif status == 403:
        sentence = f"{source} does not let Clew read (403): its token or user lacks the right to."
    elif status == 404:
        sentence = NOWHERE.format(source)
    elif 300 <= status < 400 and answer.url.startswith("http://") and answer.location.startswith("https://"):
        sentence = f"{source} wants its URL to begin with https:// ({status})."
    elif 300 <= status < 400:
        sentence = f"{source} sends Clew elsewhere ({status}), which Clew does not follow."
    else:
        sentence = f"{source} refuses the request ({status})" + (f": {words[:200].rstrip('.')}." if words else ".")
    return SourceRefused(source, operation, sentence, detail=words)


def type_problem(source: str, answer: Answer, expect: Collection[str]) -> str:
    """Why a body cannot be what was asked for, judged by its media type; "" where it can, or where any will do."""
    if not expect:
        return ""
    if not answer.body:
        return f"{source} answered with nothing at all."
    if any(part in answer.media_type for part in expect):
        return ""
    if "html" in answer.media_type:
        return f"{source} answered with a web page: a log-in page or a proxy may stand in between."
    return f"{source} answered with {answer.media_type[:60] or 'an unnamed type'}, not JSON."


def retry_after(value: str, now: UnixNanos) -> float | None:
    """Seconds from a Retry-After header, which holds seconds or an HTTP date."""
    value = value.strip()[:40]
    if value.isdecimal() and value.isascii():
        return float(value)
    moment = http_date(value)
    return None if moment is None else max(0.0, (moment - now) / SECOND)


def http_date(value: str) -> UnixNanos | None:
    """The instant of an HTTP date; None for what is none."""
    try:
        return from_datetime(email.utils.parsedate_to_datetime(value.strip()[:40])) if value else None
    except (ValueError, OverflowError):
        return None
