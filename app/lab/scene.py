"""What a script works with: the shop, its people, a clock, chance from a seed, and a journal of what was done."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2 as httpx
import msgspec

from app.lab.config import IDENTITY
from app.lab.control import Faults
from app.lab.control_client import ask
from app.lab.faults import put
from app.lab.fleet import Shop
from app.lab.pace import Pace
from app.lab.truth import Entities
from app.lab.visitor import Journal, Visitor
from app.lab.world import Person, World, user_hash


class Scene:
    """One script's stage. `entities` collects who took part, for the ground truth."""

    def __init__(self, client: httpx.AsyncClient, shop: Shop, world: World, pace: Pace, journal: Journal, seed: int) -> None:
        self.shop = shop
        self.world = world
        self.pace = pace
        self.journal = journal
        self.chance = random.Random(f"{journal.attack}/{seed}")
        self._client = client
        self._addresses: dict[str, None] = {}
        self._logins: dict[str, None] = {}
        self._sessions: dict[str, None] = {}
        self._compromised: dict[str, None] = {}

    def visitor(self, address: str, agent: str) -> Visitor:
        return Visitor(self._client, self.shop, self.pace, self.journal, address=address, agent=agent)

    def attacker(self, address: str, agent: str = "python-requests/2.32.5") -> Visitor:
        """A visitor whose address belongs to the attack."""
        self._addresses[address] = None
        return self.visitor(address, agent)

    def went_for(self, login: str) -> None:
        self._logins[login] = None

    def took_over(self, person: Person, visitor: Visitor) -> None:
        """The attacker holds a working token of this person."""
        self._compromised[person.login] = None
        self._sessions[visitor.session] = None

    @property
    def entities(self) -> Entities:
        known = {person.login: person.id for person in self.world.people}
        return Entities(
            addresses=tuple(self._addresses),
            logins=tuple(self._logins),
            user_ids=tuple(known[login] for login in self._logins if login in known),
            user_hashes=tuple(user_hash(login, self.shop.pseudonym_key) for login in self._logins),
            sessions=tuple(self._sessions),
            compromised=tuple(self._compromised),
        )

    @asynccontextmanager
    async def fault(self, service: str, faults: Faults) -> AsyncIterator[None]:
        """A service is misconfigured or broken in this way until the block ends."""
        await put(self._client, self.shop, service, faults)
        try:
            yield
        finally:
            await put(self._client, self.shop, service, Faults())

    async def unlock_everyone(self) -> None:
        """So that an attack that is run again meets the accounts as its truth says."""
        await ask(self._client, self.shop, IDENTITY, "/lab/reset")

    async def aged_token(self, person: Person, address: str, age_s: int) -> str:
        """A token identity gave this person `age_s` ago, as a thief would have kept it."""
        body = msgspec.json.encode({"login": person.login, "address": address, "age_s": age_s})
        answer = await ask(self._client, self.shop, IDENTITY, "/lab/token", body)
        token: str = msgspec.json.decode(answer)["token"]
        return token
