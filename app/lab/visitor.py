"""A visitor's browser: asks the gateway, remembers its token, and writes down what it did and what came back."""

from __future__ import annotations

import time
from typing import Any

import httpx2 as httpx
import jwt
import msgspec

from app.lab import expectations as expect
from app.lab.fleet import Shop
from app.lab.headers import DETACHED_HEADER, RESPONSE_HEADER, trace_id_in
from app.lab.pace import Pace
from app.lab.tokens import hash_session
from app.lab.truth import Expected, Request
from app.lab.world import Person
from app.times import UnixNanos

# Above the gateway's own patience, so that its answer is always heard.
TIMEOUT_S = 10.0


class Journal:
    """The requests of one script, in order, and by how much each trace has to move to stand at its scheduled time."""

    def __init__(self, run: str, attack: str) -> None:
        self.run = run
        self.attack = attack
        self.requests: list[Request] = []
        self.shift_ns: dict[str, int] = {}


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Visitor:
    """One client address with one browser."""

    def __init__(
        self, client: httpx.AsyncClient, shop: Shop, pace: Pace, journal: Journal, *, address: str, agent: str
    ) -> None:
        self.address = address
        self.login_name = ""
        self.token = ""
        self._agent = agent
        self._client = client
        self._shop = shop
        self._pace = pace
        self._journal = journal

    @property
    def session(self) -> str:
        """The session hash its spans carry, "" without a token."""
        if not self.token:
            return ""
        claims = jwt.decode(self.token, options={"verify_signature": False, "verify_exp": False})
        return hash_session(claims["sid"])

    async def wait(self, seconds: float) -> None:
        """Think, type, or simply let time pass."""
        await self._pace.wait(seconds)

    async def log_in(self, login: str, password: str, expected: Expected, did: str = "log in") -> bool:
        """Whether the log-in worked; its token is then this visitor's."""
        self.login_name = login
        answer = await self.ask("POST", "/login", expected, did, json={"login": login, "password": password})
        if answer.status != 200:
            return False
        self.token = answer.json()["token"]
        return True

    async def log_in_as(self, person: Person) -> None:
        await self.log_in(person.login, person.password, expect.ALLOWED)

    async def ask(
        self,
        method: str,
        path: str,
        expected: Expected,
        did: str,
        *,
        json: Any = None,
        detached: Expected | None = None,
    ) -> Answer:
        """One request through the gateway. `detached`: what a trace that got loose from this one should show."""
        at_ns = self._pace.now_ns()
        sent_ns = time.time_ns()
        headers = {"x-forwarded-for": self.address, "user-agent": self._agent}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        try:
            answer = await self._client.request(
                method, self._shop.gateway + path, headers=headers, json=json, timeout=TIMEOUT_S
            )
        except httpx.HTTPError:
            # The gateway itself is gone: nothing was answered, so no trace is known.
            self._note(at_ns, sent_ns, method, path, expected, did, None, None)
            return Answer(0, b"")
        finally:
            self._pace.took(time.time_ns() - sent_ns)
        self._note(at_ns, sent_ns, method, path, expected, did, answer, detached)
        return Answer(answer.status_code, answer.content)

    def _note(
        self, at_ns: UnixNanos, sent_ns: int, method: str, path: str, expected: Expected, did: str,
        answer: httpx.Response | None, detached: Expected | None,
    ) -> None:  # fmt: skip
        status = answer.status_code if answer is not None else 0
        trace_id = trace_id_in(answer.headers.get(RESPONSE_HEADER)) if answer is not None else ""
        loose = answer.headers.get(DETACHED_HEADER, "") if answer is not None else ""
        for known in filter(None, (trace_id, loose)):
            self._journal.shift_ns[known] = at_ns - sent_ns
        self._journal.requests.append(
            Request(
                run=self._journal.run, attack=self._journal.attack, at_ns=at_ns, trace_id=trace_id, did=did,
                method=method, path=path, address=self.address, login=self.login_name, status=status,
                as_expected=status == expected.status, expected=expected,
                detached_trace_id=loose, detached_expected=detached if loose else None,
            )
        )  # fmt: skip
