"""The shop's processes together: database, five services, and the file that tells others where they are."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Collection
from pathlib import Path

import httpx2 as httpx
import msgspec

from app.errors import NotFound
from app.lab import postgres, world
from app.lab.config import BILLING, GATEWAY, IDENTITY, ORDERS, POLICY, SERVICES, VARIABLE, ServiceConfig
from app.lab.headers import CONTROL_HEADER
from app.lab.processes import ChildFailed, Family, free_port
from app.lab.schema import create_sqlite

READY_S = 120.0
PLACE_FILE = "shop.json"
# Whom each service calls.
CALLS = {GATEWAY: (IDENTITY, ORDERS), ORDERS: (POLICY, BILLING)}
STORES = (IDENTITY, ORDERS, BILLING)


class Shop(msgspec.Struct, frozen=True):
    """Where a running shop is, and the keys to its control routes. Written readable by its owner only."""

    seed: int
    urls: dict[str, str]
    control_key: str
    signing_key: str
    pseudonym_key: str
    database: str

    @property
    def gateway(self) -> str:
        return self.urls[GATEWAY]

    @property
    def control_headers(self) -> dict[str, str]:
        return {CONTROL_HEADER: self.control_key}


class Store(msgspec.Struct, frozen=True):
    """The shop's database: which one, each service's URL, and why it is not PostgreSQL where it is not."""

    kind: str
    urls: dict[str, str]
    why: str = ""
    server: postgres.Server | None = None


class Fleet:
    """A started shop, whose processes are the family's."""

    def __init__(self, shop: Shop, place: Path, store: Store) -> None:
        self.shop = shop
        self.place = place
        self._store = store

    @property
    def guard(self) -> str:
        """How the shop's rows are guarded, in words for a person."""
        if self._store.kind == "postgresql":
            return "row-level security and least-privilege roles of PostgreSQL"
        return f"SQLite with an authorizer and triggers, in the place of PostgreSQL ({self._store.why})"

    def forget(self) -> None:
        """Remove what only made sense while the processes ran. Call once they have ended."""
        self.place.unlink(missing_ok=True)
        if self._store.server:
            self._store.server.remove()


def start(
    family: Family, folder: Path, *, otlp_url: str, seed: int = 7, gateway_port: int = 0, sqlite: bool = False,
    without_sdk: Collection[str] = (),
) -> Fleet:  # fmt: skip
    """Start the shop. `sqlite` takes the stand-in even where PostgreSQL is installed.

    without_sdk: services that nobody has instrumented.

    Errors: ChildFailed names what did not start and its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    people = world.make(seed)
    ports = {name: free_port() for name in SERVICES}
    if gateway_port:
        ports[GATEWAY] = gateway_port
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    control_key, signing_key = secrets.token_hex(16), secrets.token_hex(32)
    # From the seed, so that the same seed gives the same user hashes, as ground truth of another run may hold.
    pseudonym_key = f"clew-lab-{seed}"

    def launch(name: str, database: str) -> None:
        config = ServiceConfig(
            name=name, port=ports[name], otlp_url=otlp_url, peers={peer: urls[peer] for peer in CALLS.get(name, ())},
            signing_key=signing_key, control_key=control_key, pseudonym_key=pseudonym_key, database=database,
            instrumented=name not in without_sdk,
        )  # fmt: skip
        family.start(name, [sys.executable, "-m", "app.lab.services"], env={VARIABLE: config.encode()})

    # The services without a store load their libraries while the database is made.
    for name in SERVICES:
        if name not in STORES:
            launch(name, "")
    store = _store(family, folder, people, sqlite=sqlite)
    for name in STORES:
        launch(name, store.urls[name])
    shop = Shop(seed, urls, control_key, signing_key, pseudonym_key, store.kind)
    await_ready(family, shop)
    place = folder / PLACE_FILE
    place.touch(mode=0o600)
    place.write_bytes(msgspec.json.encode(shop))
    return Fleet(shop, place, store)


def find(folder: Path) -> Shop:
    """The shop that runs from this data folder. Errors: NotFound with what to do."""
    try:
        return msgspec.json.decode((folder / PLACE_FILE).read_bytes(), type=Shop)
    except (OSError, msgspec.MsgspecError):
        raise NotFound(f"No shop runs from {folder}. Start one with clew lab run or clew demo.") from None


def _store(family: Family, folder: Path, people: world.World, *, sqlite: bool) -> Store:
    """PostgreSQL where it can be had, else its stand-in with the reason."""
    # Imported here: argon2 and the service are only needed by the one who starts the shop.
    from app.lab.services.identity import HASHER

    hashes = {person.id: HASHER.hash(person.password) for person in people.people}
    why = "as asked for"
    if not sqlite:
        try:
            server = postgres.start(family, people, hashes, folder / "postgres.path")
            return Store("postgresql", server.urls, server=server)
        except ChildFailed as error:
            why = error.sentence.rstrip(".")
    path = folder / "shop.sqlite"
    for stale in folder.glob("shop.sqlite*"):
        stale.unlink()
    create_sqlite(str(path), people, hashes)
    return Store("sqlite", dict.fromkeys(STORES, f"sqlite:///{path}"), why)


def await_ready(family: Family, shop: Shop) -> None:
    """Wait until every service answers. Errors: ChildFailed."""
    deadline = time.monotonic() + READY_S
    with httpx.Client(timeout=2.0, trust_env=False, headers=shop.control_headers) as client:
        waiting = list(shop.urls)
        while waiting:
            if failure := family.failure():
                raise ChildFailed(failure)
            if time.monotonic() > deadline:
                raise ChildFailed(f"{', '.join(waiting)} did not start within {READY_S:.0f} s.")
            waiting = [name for name in waiting if not _answers(client, shop.urls[name])]
            if waiting:
                time.sleep(0.05)


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/lab/health").status_code == 204
    except httpx.HTTPError:
        return False
