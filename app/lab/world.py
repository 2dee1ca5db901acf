"""The sample shop's world: its people, goods and first orders. The same seed gives the same world."""

from __future__ import annotations

import hashlib
import hmac
import random

import msgspec

FIRST_NAMES = (
    "ada", "amir", "bela", "carla", "chidi", "dana", "eda", "emil", "farah", "femi", "gita", "hugo",
    "ines", "ivan", "jana", "kofi", "lena", "luca", "mara", "mei", "nils", "noor", "olga", "omar",
    "petra", "quinn", "rosa", "sami", "tariq", "uma", "vera", "wanda", "xenia", "yuki", "zoe", "teo",
)  # fmt: skip
LAST_NAMES = (
    "abebe", "brandt", "castro", "duval", "eriksen", "fischer", "garcia", "haddad", "ito", "jansen", "kovacs", "lindt",
    "moreau", "novak", "okafor", "petrov", "quist", "rossi", "silva", "tanaka", "ueda", "varga", "weiss", "yilmaz",
)  # fmt: skip
GOODS = (
    ("tea-assam", "Assam tea, 250 g", 890), ("tea-sencha", "Sencha, 100 g", 1290), ("mug-blue", "Blue mug", 1450),
    ("pot-iron", "Cast iron teapot", 5900), ("honey-lime", "Lime honey", 760), ("filter-100", "Paper filters, 100", 420),
    ("kettle-pro", "Kettle, variable temperature", 8900), ("gift-crate", "Gift crate for the office", 42000),
)  # fmt: skip
REGIONS = ("eu", "us")
COMMON_PASSWORDS = ("Winter2026!", "Password123", "Welcome1", "Qwerty2026")


class Person(msgspec.Struct, frozen=True):
    """Someone with an account. `id` is opaque; `login` is what they type."""

    id: str
    login: str
    password: str
    roles: tuple[str, ...]
    region: str


class Product(msgspec.Struct, frozen=True):
    sku: str
    title: str
    price_cents: int


class SampleOrder(msgspec.Struct, frozen=True):
    id: int
    customer: Person
    sku: str
    quantity: int
    total_cents: int


class World(msgspec.Struct, frozen=True):
    """Everybody and everything the shop starts with.

    regulars, support: those who visit and work. quiet, support_on_leave: those who exist and stay away, so that an
    attack on them disturbs nobody.
    """

    seed: int
    regulars: tuple[Person, ...]
    quiet: tuple[Person, ...]
    support: tuple[Person, ...]
    support_on_leave: tuple[Person, ...]
    admin: Person
    products: tuple[Product, ...]
    orders: tuple[SampleOrder, ...]

    @property
    def people(self) -> tuple[Person, ...]:
        return (*self.regulars, *self.quiet, *self.support, *self.support_on_leave, self.admin)

    def orders_of(self, person: Person) -> list[SampleOrder]:
        return [order for order in self.orders if order.customer == person]


def make(seed: int, *, regulars: int = 40, quiet: int = 36, support: int = 4) -> World:
    """The world of a seed."""
    chance = random.Random(f"world/{seed}")
    names = [f"{first}.{last}" for first in FIRST_NAMES for last in LAST_NAMES]
    chance.shuffle(names)
    everyone = iter(names)

    def person(*roles: str) -> Person:
        login = next(everyone)
        return Person(
            id="u-" + hashlib.sha256(f"{seed}/{login}".encode()).hexdigest()[:10],
            login=login,
            password=f"{chance.choice(GOODS)[0]}-{chance.randrange(10**6):06d}",
            roles=roles,
            region=chance.choice(REGIONS),
        )

    visiting = tuple(person("customer") for _ in range(regulars))
    absent = tuple(person("customer") for _ in range(quiet))
    # One of those who stay away has chosen a password that every sprayer tries.
    absent = (msgspec.structs.replace(absent[0], password=COMMON_PASSWORDS[1]), *absent[1:])
    agents = tuple(person("support") for _ in range(support))
    on_leave = (person("support"), person("support"))
    admin = person("support", "admin")
    products = tuple(Product(*row) for row in GOODS)
    orders: list[SampleOrder] = []
    for customer in (*visiting, *absent):
        for _ in range(2):
            product, quantity = chance.choice(products[:7]), chance.randint(1, 3)
            orders.append(SampleOrder(1001 + len(orders), customer, product.sku, quantity, product.price_cents * quantity))
    return World(seed, visiting, absent, agents, on_leave, admin, products, tuple(orders))


def user_hash(login: str, key: str) -> str:
    """The pseudonym a span carries in place of a login name: HMAC-SHA-256 of the lower-cased name, 32 hex digits."""
    return hmac.new(key.encode(), login.lower().encode(), hashlib.sha256).hexdigest()[:32]
