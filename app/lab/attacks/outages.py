"""Not attacks by themselves, but what attackers wait for: broken checks, and traces that break off."""

from __future__ import annotations

from app.lab import expectations as expect
from app.lab.config import BILLING, IDENTITY, ORDERS, POLICY
from app.lab.control import Faults
from app.lab.scene import Scene
from app.lab.traffic import AGENTS, home_address
from app.lab.visitor import Visitor
from app.lab.world import Person

FAIL_OPEN_REFUNDS = 16
IGNORED_REFUNDS = 6
OUTAGE_WRITES = 4


async def fail_open(scene: Scene) -> None:
    """A customer refunds own orders, which policy denies: first while policy is down, then while it is not heeded."""
    await scene.unlock_everyone()
    world, chance = scene.world, scene.chance
    customer = world.quiet[7]
    scene.went_for(customer.login)
    order = world.orders_of(customer)[0]
    fraud = scene.attacker(f"198.19.7.{chance.randrange(10, 200)}", AGENTS[1])
    if await fraud.log_in(customer.login, customer.password, expect.ALLOWED):
        scene.took_over(customer, fraud)
    path = f"/orders/{order.id}/refund"
    await fraud.ask("POST", path, expect.REFUND_BY_CUSTOMER, "refund an own order while policy works")
    async with scene.fault(POLICY, Faults(down=True)), scene.fault(ORDERS, Faults(fail_open=True)):
        for _ in range(FAIL_OPEN_REFUNDS):
            await fraud.ask("POST", path, expect.FAILED_OPEN, "refund an own order while policy is down")
            await fraud.wait(chance.uniform(0.5, 2.0))
    async with scene.fault(ORDERS, Faults(ignore_policy=True)):
        for _ in range(IGNORED_REFUNDS):
            await fraud.ask("POST", path, expect.IGNORED_DENIAL, "refund an own order while denials are only noted")
            await fraud.wait(chance.uniform(0.5, 2.0))
    await fraud.ask("POST", path, expect.REFUND_BY_CUSTOMER, "refund an own order after the repair")


async def identity_outage(scene: Scene) -> None:
    await scene.unlock_everyone()
    world, chance = scene.world, scene.chance
    visitors: list[tuple[Visitor, Person]] = []
    for person in world.quiet[8:12]:
        visitor = scene.visitor(home_address(person, world), AGENTS[2])
        await visitor.log_in(person.login, person.password, expect.ALLOWED)
        visitors.append((visitor, person))
    goods = {"sku": "honey-lime", "quantity": 1}
    async with scene.fault(IDENTITY, Faults(hang=True)):
        for _ in range(OUTAGE_WRITES):
            for visitor, _person in visitors:
                await visitor.ask("POST", "/orders", expect.IDENTITY_SILENT, "order something during the outage", json=goods)
                await visitor.ask("GET", "/orders", expect.ALLOWED, "list own orders during the outage")
                await visitor.wait(chance.uniform(0.2, 1.0))
        late, person = scene.visitor(home_address(world.quiet[12], world), AGENTS[0]), world.quiet[12]
        await late.log_in(person.login, person.password, expect.LOGIN_UNAVAILABLE, "log in during the outage")
    for visitor, _person in visitors:
        await visitor.ask("POST", "/orders", expect.CREATED, "order something after the outage", json=goods)


async def dropped_context(scene: Scene) -> None:
    await scene.unlock_everyone()
    world, chance = scene.world, scene.chance
    async with scene.fault(BILLING, Faults(strip_context=True)):
        for person in world.quiet[13:17]:
            visitor = scene.visitor(home_address(person, world), AGENTS[3])
            await visitor.log_in(person.login, person.password, expect.ALLOWED)
            own = chance.choice(world.orders_of(person))
            stranger = chance.choice([order for order in world.orders if order.customer != person])
            await visitor.wait(chance.uniform(0.5, 2.0))
            await visitor.ask(
                "GET", f"/orders/{own.id}/invoice", expect.DETACHED_ANSWER, "open an own invoice", detached=expect.LONE_ANSWER
            )
            await visitor.wait(chance.uniform(0.5, 2.0))
            await visitor.ask(
                "GET", f"/orders/{stranger.id}/invoice", expect.DETACHED_REFUSAL, "open a stranger's invoice",
                detached=expect.LONE_REFUSAL,
            )  # fmt: skip
