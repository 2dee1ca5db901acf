"""Attacks of someone who is logged in: trying every door, and counting through other people's orders."""

from __future__ import annotations

from app.lab import expectations as expect
from app.lab.scene import Scene
from app.lab.visitor import Visitor
from app.lab.world import Person

PROBE_ROUNDS = 5
WALK_STEPS = 70


async def probing(scene: Scene) -> None:
    await scene.unlock_everyone()
    world, chance = scene.world, scene.chance
    customer = world.quiet[1]
    agent = world.support_on_leave[1]
    address = f"192.0.2.{chance.randrange(10, 200)}"
    for person in (customer, agent):
        scene.went_for(person.login)
    prober = scene.attacker(address, "curl/8.14.1")
    if await prober.log_in(customer.login, customer.password, expect.ALLOWED):
        scene.took_over(customer, prober)
    for _ in range(PROBE_ROUNDS):
        await _as_customer(scene, prober, customer)
    if await prober.log_in(agent.login, agent.password, expect.ALLOWED, "log in with a phished support account"):
        scene.took_over(agent, prober)
    for _ in range(PROBE_ROUNDS):
        await _as_support(scene, prober)


async def _as_customer(scene: Scene, prober: Visitor, customer: Person) -> None:
    world, chance = scene.world, scene.chance
    stranger = chance.choice([order for order in world.orders if order.customer != customer])
    own = chance.choice(world.orders_of(customer))
    for method, path, expected, did in (
        ("GET", "/admin/orders", expect.ROUTE_CLOSED, "staff list as a customer"),
        ("GET", "/admin/users", expect.ROUTE_CLOSED, "user list as a customer"),
        ("GET", "/admin/ledger", expect.ROUTE_CLOSED, "ledger as a customer"),
        ("DELETE", f"/admin/orders/{stranger.id}", expect.ROUTE_CLOSED, "delete a stranger's order"),
        ("GET", f"/orders/{stranger.id}", expect.NOT_THE_OWNER, "open a stranger's order"),
        ("GET", f"/orders/{stranger.id}/invoice", expect.NOT_MY_INVOICE, "open a stranger's invoice"),
        ("POST", f"/orders/{own.id}/refund", expect.REFUND_BY_CUSTOMER, "refund an own order"),
    ):
        await prober.ask(method, path, expected, did)
        await prober.wait(chance.uniform(0.6, 1.4))
    large = {"sku": "gift-crate", "quantity": 50}
    await prober.ask("POST", "/orders", expect.ORDER_TOO_LARGE, "order far above the limit", json=large)
    await prober.wait(chance.uniform(0.6, 1.4))
    foreign = {"sku": "tea-assam", "quantity": 1, "customer_id": stranger.customer.id}
    await prober.ask("POST", "/orders", expect.ROW_OF_ANOTHER, "order in a stranger's name", json=foreign)
    await prober.wait(chance.uniform(0.6, 1.4))


async def _as_support(scene: Scene, prober: Visitor) -> None:
    chance = scene.chance
    order = chance.choice(scene.world.orders)
    for method, path, expected, did in (
        ("GET", "/admin/orders", expect.ALLOWED, "staff list as support"),
        ("GET", "/admin/users", expect.ROLE_MISSING, "user list as support"),
        ("GET", "/admin/ledger", expect.NO_GRANT, "ledger, which the service has no grant for"),
        ("DELETE", f"/admin/orders/{order.id}", expect.ROLE_MISSING, "delete an order as support"),
    ):
        await prober.ask(method, path, expected, did)
        await prober.wait(chance.uniform(0.6, 1.4))


async def object_walking(scene: Scene) -> None:
    await scene.unlock_everyone()
    chance = scene.chance
    customer = scene.world.quiet[2]
    scene.went_for(customer.login)
    walker = scene.attacker(f"198.51.100.{chance.randrange(60, 70)}", "python-requests/2.32.5")
    if await walker.log_in(customer.login, customer.password, expect.ALLOWED):
        scene.took_over(customer, walker)
    own = {order.id for order in scene.world.orders_of(customer)}
    first = min(own) - chance.randrange(10, 40)
    existing = {order.id for order in scene.world.orders}
    for number in range(first, first + WALK_STEPS):
        if number in own:
            expected = expect.ALLOWED
        else:
            expected = expect.NOT_THE_OWNER if number in existing else expect.NO_SUCH_ORDER
        await walker.ask("GET", f"/orders/{number}", expected, f"open order {number}")
        await walker.wait(chance.uniform(0.6, 1.4))
