"""One way to call out: deadlines, retries, size caps, a circuit breaker, and every failure as one of our errors.

All requests are idempotent reads. Redirects are not followed and proxies of the environment not used: a source is where
its URL says. httpx raises InvalidURL outside its own error tree, per-read time-outs never stop a slow drip, and a body
may grow a thousandfold on decompression: hence the checks here rather than in each client.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import NoReturn, Self, TypeVar

import httpx2 as httpx
import msgspec

from app import __version__
from app.errors import InvalidInput, SourceError, SourceRefused, SourceUnavailable, SourceUnreadable
from app.settings import SourceSettings
from app.sources import faults
from app.sources.answer import ERROR_BYTES, Answer, Refusal, general_refusal, http_date, no_reading, retry_after, type_problem
from app.sources.breaker import Breaker, Health
from app.sources.credentials import Credentials, tls_context
from app.sources.dial import GuardedTransport
from app.sources.values import SourceHealth
from app.times import SECOND, UnixNanos, now_ns, to_datetime

# At DEBUG, hpack writes header blocks to the log, credentials among them.
logging.getLogger("hpack").setLevel(logging.INFO)

T = TypeVar("T")
Params = Mapping[str, str | int] | Iterable[tuple[str, str | int]]

_OK = frozenset({200})
_OK_OR_EMPTY = frozenset({200, 204})
_BUSY = frozenset({429, 502, 503, 504})
_HOST = re.compile(r"[0-9A-Za-z._:-]{1,255}")  # httpx percent-encodes what cannot be in a name instead of refusing it
DECODE_INLINE = 1_000_000  # bytes; decoding more would hold up the event loop
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class SourceHttp:
    """Requests to one source. Close it; one event loop only.

    transport: instead of the network, for tests and for applications in this process.
    Errors:    SourceUnavailable, SourceRefused, SourceUnreadable. A wrong setting is told on each call, not on
               construction, so that one wrong source leaves the others and the pages standing.
    """

    def __init__(
        self,
        source: str,
        settings: SourceSettings,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        refusal: Refusal = no_reading,
        clock: Callable[[], UnixNanos] = now_ns,
    ) -> None:
        self.source = source
        self.settings = settings
        self._refusal = refusal
        self._clock = clock
        self._breaker = Breaker()
        self._health = Health(source, enabled=settings.enabled)
        self._slots = asyncio.Semaphore(settings.max_parallel)
        self._problem = ""
        self._client: httpx.AsyncClient | None = None
        try:
            self._credentials = Credentials(settings)
            self._client = self._open(transport)
        except (InvalidInput, httpx.InvalidURL) as error:
            why = str(error) if isinstance(error, InvalidInput) else "its address is not a valid URL"
            self._problem = f"{source} cannot be asked: {why}."
            self._health.failed(clock(), self._problem)

    def _open(self, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient | None:
        settings = self.settings
        if not settings.enabled:
            return None
        url = httpx.URL(settings.url)
        if url.scheme not in ("http", "https") or url.query or url.fragment or url.userinfo:
            raise InvalidInput("its address has to be an http:// or https:// URL without user, query or fragment")
        if not _HOST.fullmatch(url.raw_host.decode()) or not 0 < (url.port or 80) < 65_536:
            raise InvalidInput("its address has no valid host and port")
        limits = httpx.Limits(
            max_connections=settings.max_parallel, max_keepalive_connections=settings.max_parallel, keepalive_expiry=5
        )
        return httpx.AsyncClient(
            transport=transport or GuardedTransport(tls_context(settings), limits),
            headers=[*self._credentials.headers, (b"User-Agent", f"clew/{__version__}".encode())],
            # The total deadline bounds reading and writing; httpx's own would only bound each piece.
            timeout=httpx.Timeout(None, connect=settings.connect_timeout_s),
            follow_redirects=False,
            trust_env=False,
        )

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def enabled(self) -> bool:
        return self.settings.enabled

    @property
    def tenant(self) -> str:
        return self.settings.tenant

    @property
    def health(self) -> SourceHealth:
        return self._health.facts(self._breaker.open_until_ns)

    def clean(self, text: str, *, longest: int = 300) -> str:
        """The source's own words made fit to show: one line, no secrets, not too long."""
        return self._credentials.clean(text, longest=longest)

    async def get(
        self,
        path: str,
        params: Params = (),
        *,
        operation: str,
        accept: str = "application/json",
        statuses: Collection[int] = _OK,
        expect: Collection[str] = ("json",),
        deadline_s: float | None = None,
    ) -> Answer:
        """The answer to a GET.

        statuses: what is an answer and not an error.
        expect:   parts of the media types that can be read; empty for any. Checked on 200 only.
        """
        call = _Call("GET", path, tuple(_pairs(params)), operation, accept, statuses, expect)
        client = self._usable(operation)
        async with self._watched():
            return await self._ask(client, call, deadline_s)

    async def read_json(
        self,
        path: str,
        params: Params,
        shape: type[T],
        *,
        operation: str,
        form: bool = False,
        empty: T | None = None,
        deadline_s: float | None = None,
    ) -> T:
        """The answer to a request, decoded as `shape`.

        form:  send the parameters as a POST form, for long ones.
        empty: what an answer without content (204) stands for, where the API has one.
        """
        statuses = _OK if empty is None else _OK_OR_EMPTY
        call = _Call("POST" if form else "GET", path, tuple(_pairs(params)), operation, statuses=statuses)
        client = self._usable(operation)
        async with self._watched():
            answer = await self._ask(client, call, deadline_s)
            return empty if empty is not None and answer.status == 204 else await self.decode(answer, shape, operation)

    async def probe(self, path: str, *, operation: str) -> Answer:
        """Whatever answers at `path`, once: past the breaker, without effect on health, any status but a redirect."""
        statuses = frozenset(range(200, 300)) | frozenset(range(400, 600))
        call = _Call("GET", path, (), operation, "*/*", statuses, ())
        client = self._usable(operation)
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                return await self._once(client, call)
        except _Retry as failure:
            raise failure.error from None
        except TimeoutError:
            raise self._late(operation, self.settings.timeout_s) from None

    async def decode(self, answer: Answer, shape: type[T], operation: str) -> T:
        """The body as `shape`; large ones in a worker thread."""
        if len(answer.body) <= DECODE_INLINE:
            return self._decode(answer, shape, operation)
        return await asyncio.to_thread(self._decode, answer, shape, operation)

    def _decode(self, answer: Answer, shape: type[T], operation: str) -> T:
        try:
            # Lax: 64-bit integers arrive as strings from Tempo, as numbers from others.
            return msgspec.json.decode(answer.body, type=shape, strict=False)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise self.unreadable(
                operation, f"{self.source} answered with JSON that its API does not promise.", str(error)
            ) from None

    def unreadable(self, operation: str, sentence: str, detail: str = "") -> SourceUnreadable:
        return SourceUnreadable(self.source, operation, sentence, detail=self.clean(detail))

    # -------------------------------------------------------------------------------------------- one request's way

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Health and the breaker learn how the request ended."""
        now = self._clock()
        if not self._breaker.admits(now):
            raise self._paused(now)
        try:
            yield
        except _Crowded:
            self._breaker.abandoned()  # the source was not asked: nothing was learned about it
            raise
        except SourceError as error:
            self._learn(error, self._clock())
            raise
        except BaseException:
            self._breaker.abandoned()
            raise
        self._health.answered(self._clock())
        self._breaker.succeeded()

    def _learn(self, error: SourceError, now: UnixNanos) -> None:
        # A bad query says nothing about the source but that it is there; wrong credentials or a wrong address do.
        status = error.status or 0
        if isinstance(error, SourceRefused) and status >= 400 and status not in (401, 403, 404):
            self._health.answered(now)
        else:
            self._health.failed(now, str(error))
        # A 500 or 429 comes from a source that is up, and so does any refusal.
        if isinstance(error, SourceUnavailable) and status not in (500, 429):
            self._breaker.failed(now)
        else:
            self._breaker.succeeded()

    def _paused(self, now: UnixNanos) -> SourceUnavailable:
        since = to_datetime(self._breaker.first_failure_ns or now).strftime("%Y-%m-%d %H:%M:%S UTC")
        wait_s = max(1, -(-((self._breaker.open_until_ns or now) - now) // SECOND))
        sentence = f"{self.source} has not answered since {since}. Clew asks again in {wait_s} s."
        return SourceUnavailable(self.source, "any request", sentence, detail=self.health.last_error)

    def _usable(self, operation: str) -> httpx.AsyncClient:
        if self._problem:
            raise SourceRefused(self.source, operation, self._problem)
        if self._client is None:
            raise SourceRefused(self.source, operation, f"{self.source} is not configured.")
        return self._client

    async def _ask(self, client: httpx.AsyncClient, call: _Call, deadline_s: float | None) -> Answer:
        seconds = deadline_s or self.settings.timeout_s
        queued = True
        try:
            async with asyncio.timeout(seconds) as deadline, self._slots:
                queued = False
                return await self._tries(client, call, deadline.when() or 0.0)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise self._crowded(call.operation, seconds) if queued else self._late(call.operation, seconds) from None

    async def _tries(self, client: httpx.AsyncClient, call: _Call, until: float) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(client, call)
            except _Retry as failure:
                pause_s = _pause(attempt, failure.after_s)
                # Rather the failure now than the same one, or a vaguer "too late", after a pointless wait.
                if attempt >= self.settings.attempts or pause_s >= until - asyncio.get_running_loop().time():
                    raise failure.error from None
            await asyncio.sleep(pause_s)

    def _late(self, operation: str, seconds: float) -> SourceUnavailable:
        return SourceUnavailable(self.source, operation, f"{self.source} did not answer within {seconds:.3g} s.")

    def _crowded(self, operation: str, seconds: float) -> SourceUnavailable:
        sentence = (
            f"{self.settings.max_parallel} requests to {self.source} were under way and none ended within {seconds:.3g} s."
        )
        return _Crowded(self.source, operation, sentence)

    async def _once(self, client: httpx.AsyncClient, call: _Call) -> Answer:
        begun = False
        try:
            request = client.build_request(
                call.method,
                self.settings.url + call.path,
                params=list(call.params) if call.method == "GET" else None,
                data=_grouped(call.params) if call.method == "POST" else None,
                headers={"Accept": call.accept},
            )
            response = await client.send(request, stream=True)
            try:
                begun = True
                answer = await self._read(response, call)
            finally:
                await response.aclose()
        except httpx.InvalidURL:
            sentence = f"The request to {self.source} does not make a valid URL."
            raise SourceRefused(self.source, call.operation, sentence) from None
        except httpx.HTTPError as error:
            failure = faults.of_transport(
                error, self.source, call.operation, connect_s=self.settings.connect_timeout_s, begun=begun
            )
            failure.detail = self.clean(failure.detail)
            if faults.worth_a_retry(error):
                raise _Retry(failure) from None
            raise failure from None
        if answer.status not in call.statuses:
            self._refuse(answer, call.operation)
        if answer.status == 200 and (why := type_problem(self.source, answer, call.expect)):
            raise self.unreadable(call.operation, self.clean(why))
        return answer

    async def _read(self, response: httpx.Response, call: _Call) -> Answer:
        wanted = response.status_code in call.statuses
        most = self.settings.max_response_bytes if wanted else ERROR_BYTES
        pieces: list[bytes] = []
        size = 0
        async for piece in response.aiter_bytes():
            pieces.append(piece)
            size += len(piece)
            if size > most:
                if wanted:
                    sentence = f"{self.source}'s answer is larger than the {_megabytes(most)} that Clew accepts."
                    raise self.unreadable(call.operation, sentence)
                break
        return Answer(
            status=response.status_code,
            media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            # Copying many megabytes takes a while, and another thread can do it without the interpreter.
            body=b"".join(pieces) if size <= DECODE_INLINE else await asyncio.to_thread(b"".join, pieces),
            url=str(response.request.url),
            received_ns=self._clock(),
            retry_after_s=retry_after(response.headers.get("Retry-After", ""), self._clock()),
            location=response.headers.get("Location", ""),
            date_ns=http_date(response.headers.get("Date", "")),
        )

    def _refuse(self, answer: Answer, operation: str) -> NoReturn:
        error = self._refusal(answer, operation, self.clean)
        identified = self._credentials.identify
        error = error or general_refusal(self.source, answer, operation, self.clean, identified=identified)
        error.status = answer.status
        if answer.status in _BUSY and isinstance(error, SourceUnavailable):
            raise _Retry(error, answer.retry_after_s)
        raise error


class _Call(msgspec.Struct, frozen=True):
    """What to ask; a POST carries its parameters as a form."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    operation: str
    accept: str = "application/json"
    statuses: Collection[int] = _OK
    expect: Collection[str] = ("json",)


class _Crowded(SourceUnavailable):
    """Clew's own limit on parallel requests stopped it; the source was not asked."""


class _Retry(Exception):
    """A failure that another try may mend. Never leaves this module."""

    def __init__(self, error: SourceError, after_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after_s = after_s


def _pause(attempt: int, asked_s: float | None) -> float:
    if asked_s is not None:
        return asked_s
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (attempt - 1))
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads retries; nothing secret


def _pairs(params: Params) -> Iterable[tuple[str, str]]:
    items = params.items() if isinstance(params, Mapping) else params
    return [(name, str(value)) for name, value in items]


def _grouped(form: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """httpx takes a form as a mapping; a name that repeats holds a list."""
    names: dict[str, list[str]] = {}
    for name, value in form:
        names.setdefault(name, []).append(value)
    return names


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.0f} MB" if size >= 2**20 else f"{size} bytes"
