"""The shop's ordinary visitors: planned from a seed, so that a run repeats, then walked through the real shop.

The plan is plain data: who comes when, from where, and the steps they take, typos and forbidden clicks included.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator

import msgspec

from app.lab import expectations as expect
from app.lab.truth import Expected
from app.lab.visitor import Visitor
from app.lab.world import Person, World

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile",
    "ShopApp/5.2 (Android 16)",
)


class Step(enum.StrEnum):
    LOG_IN = "log in"
    TYPO = "log in with a typo in the password"
    CATALOGUE = "look at the catalogue"
    MY_ORDERS = "list own orders"
    MY_ORDER = "open an own order"
    INVOICE = "open an own invoice"
    BUY = "order something"
    PAY = "pay what was ordered"
    ADMIN_CLICK = "click a link to the staff pages"
    WRONG_LINK = "open a link to somebody else's order"
    ALL_ORDERS = "list all orders (support)"
    ANY_ORDER = "open a customer's order (support)"
    REFUND = "refund an order (support)"
    LOG_OUT = "log out"


class Visit(msgspec.Struct, frozen=True):
    """One person's visit. `start_s` counts from the start of the plan; each step follows a wait in seconds."""

    start_s: float
    person: Person
    address: str
    agent: str
    steps: tuple[tuple[float, Step], ...]
    choice: int


def plan(world: World, seed: int, seconds: float, visits_per_minute: float) -> Iterator[Visit]:
    """Visits in order of their start, at random intervals around the given rate."""
    chance = random.Random(f"traffic/{seed}")
    at = 0.0
    while True:
        at += chance.expovariate(visits_per_minute / 60)
        if at >= seconds:
            return
        is_support = chance.random() < 0.12
        person = chance.choice(world.support if is_support else world.regulars)
        steps = _support_steps(chance) if is_support else _customer_steps(chance)
        yield Visit(
            start_s=at,
            person=person,
            address=home_address(person, world),
            agent=AGENTS[hash_of(person) % len(AGENTS)],
            steps=tuple((round(chance.uniform(0.5, 6.0), 2), step) for step in steps),
            choice=chance.randrange(10**6),
        )


def home_address(person: Person, world: World) -> str:
    """Where a person usually comes from: an own /24 for most, one office for the staff (198.18.0.0/15 is for test beds)."""
    if "support" in person.roles:
        return f"198.18.200.{10 + hash_of(person) % 100}"
    index = world.people.index(person)
    return f"198.18.{index % 200}.{10 + hash_of(person) % 200}"


def hash_of(person: Person) -> int:
    return int(person.id.removeprefix("u-"), 16)


def _customer_steps(chance: random.Random) -> list[Step]:
    steps = [Step.CATALOGUE]
    if chance.random() < 0.08:
        steps.append(Step.TYPO)
    steps.append(Step.LOG_IN)
    for probability, step in ((0.6, Step.MY_ORDERS), (0.5, Step.MY_ORDER), (0.2, Step.INVOICE)):
        if chance.random() < probability:
            steps.append(step)
    if chance.random() < 0.35:
        steps.append(Step.BUY)
        if chance.random() < 0.7:
            steps.append(Step.PAY)
    if chance.random() < 0.03:
        steps.append(Step.ADMIN_CLICK)
    if chance.random() < 0.02:
        steps.append(Step.WRONG_LINK)
    if chance.random() < 0.4:
        steps.append(Step.LOG_OUT)
    return steps


def _support_steps(chance: random.Random) -> list[Step]:
    steps = [Step.LOG_IN, Step.ALL_ORDERS, Step.ANY_ORDER]
    if chance.random() < 0.4:
        steps.append(Step.REFUND)
    return steps


async def perform(visit: Visit, visitor: Visitor, world: World) -> None:
    """Walk through a visit. Stops where the log-in fails, as a person would."""
    chance = random.Random(f"visit/{visit.choice}")
    person = visit.person
    own = world.orders_of(person)
    bought = 0
    for wait_s, step in visit.steps:
        await visitor.wait(wait_s)
        match step:
            case Step.CATALOGUE:
                await visitor.ask("GET", "/products", expect.OPEN, step)
            case Step.TYPO:
                await visitor.log_in(person.login, person.password[:-1], expect.BAD_PASSWORD, step)
            case Step.LOG_IN:
                if not await visitor.log_in(person.login, person.password, expect.ALLOWED, step):
                    return
            case Step.MY_ORDERS:
                await visitor.ask("GET", "/orders", expect.ALLOWED, step)
            case Step.MY_ORDER:
                await visitor.ask("GET", f"/orders/{chance.choice(own).id}", expect.ALLOWED, step)
            case Step.INVOICE:
                await visitor.ask("GET", f"/orders/{chance.choice(own).id}/invoice", expect.ALLOWED, step)
            case Step.BUY:
                sku = chance.choice(world.products[:6]).sku
                answer = await visitor.ask(
                    "POST", "/orders", expect.CREATED, step, json={"sku": sku, "quantity": chance.randint(1, 3)}
                )
                bought = answer.json()["id"] if answer.status == 201 else 0
            case Step.PAY if bought:
                await visitor.ask("POST", f"/orders/{bought}/pay", expect.ALLOWED, step)
            case Step.PAY:
                pass  # the order did not come about
            case Step.ADMIN_CLICK:
                await visitor.ask("GET", "/admin/orders", expect.ROUTE_CLOSED, step)
            case Step.WRONG_LINK:
                strangers = [order for order in world.orders if order.customer != person]
                await visitor.ask("GET", f"/orders/{chance.choice(strangers).id}", expect.NOT_THE_OWNER, step)
            case Step.ALL_ORDERS:
                await visitor.ask("GET", "/admin/orders", expect.ALLOWED, step)
            case Step.ANY_ORDER:
                await visitor.ask("GET", f"/orders/{chance.choice(world.orders).id}", expect.ALLOWED, step)
            case Step.REFUND:
                order = chance.choice(world.orders)
                await visitor.ask("POST", f"/orders/{order.id}/refund", refund_by(person, order.customer), step)
            case Step.LOG_OUT:
                await visitor.ask("POST", "/logout", expect.ALLOWED, step)


def refund_by(agent: Person, customer: Person) -> Expected:
    """Support refunds in its own region only."""
    if agent.region == customer.region:
        return expect.ALLOWED
    return expect.policy_denies(f"support of region {agent.region} may not refund in {customer.region}")
