"""Attacks with somebody else's token: one that has expired, and one that still works."""

from __future__ import annotations

from app.lab import expectations as expect
from app.lab.scene import Scene
from app.lab.traffic import AGENTS, home_address

EXPIRED_ROUNDS = 18


async def expired_replay(scene: Scene) -> None:
    await scene.unlock_everyone()
    chance = scene.chance
    victims = scene.world.quiet[3:6]
    thieves = []
    for host, victim in enumerate(victims):
        scene.went_for(victim.login)
        thief = scene.attacker(f"198.19.44.{20 + host}", "Go-http-client/2.0")
        thief.login_name = victim.login
        thief.token = await scene.aged_token(victim, home_address(victim, scene.world), age_s=3 * 3600)
        thieves.append(thief)
    for _ in range(EXPIRED_ROUNDS):
        for thief in thieves:
            path = chance.choice(("/me", "/orders", "/orders/1001"))
            await thief.ask("GET", path, expect.TOKEN_EXPIRED, "replay an expired token")
            await thief.wait(chance.uniform(0.5, 1.2))


async def stolen_replay(scene: Scene) -> None:
    await scene.unlock_everyone()
    world, chance = scene.world, scene.chance
    victim = world.quiet[6]
    scene.went_for(victim.login)
    own = world.orders_of(victim)
    # The victim's own requests belong to the picture, but its address is not the attacker's.
    home = scene.visitor(home_address(victim, world), AGENTS[0])
    if not await home.log_in(victim.login, victim.password, expect.ALLOWED):
        return
    await home.ask("GET", "/orders", expect.ALLOWED, "the victim lists its orders")
    thief = scene.attacker(f"198.19.80.{chance.randrange(10, 200)}", "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/141.0")
    thief.token, thief.login_name = home.token, victim.login
    scene.took_over(victim, thief)
    for _ in range(3):
        order = chance.choice(own)
        await thief.wait(chance.uniform(2.0, 6.0))
        await thief.ask("GET", "/orders", expect.ALLOWED, "list the victim's orders with its token")
        await thief.ask("GET", f"/orders/{order.id}/invoice", expect.ALLOWED, "read an invoice with the stolen token")
        await home.wait(chance.uniform(1.0, 3.0))
        await home.ask("GET", f"/orders/{order.id}", expect.ALLOWED, "the victim opens an order meanwhile")
        await thief.ask("POST", f"/orders/{order.id}/pay", expect.SECOND_FACTOR, "pay with the stolen token")
