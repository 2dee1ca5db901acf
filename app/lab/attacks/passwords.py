"""Attacks on the log-in: many passwords for one account, one password each for many, few passwords for all."""

from __future__ import annotations

from app.lab import expectations as expect
from app.lab.scene import Scene
from app.lab.services.identity import LOCK_AFTER
from app.lab.visitor import Visitor
from app.lab.world import COMMON_PASSWORDS, FIRST_NAMES, LAST_NAMES, Person

BRUTE_FORCE_TRIES = 280
STUFFING_PAIRS = 64
SPRAY_NETWORKS = 24
SPRAY_ACCOUNTS = 44


async def brute_force(scene: Scene) -> None:
    await scene.unlock_everyone()
    victim = scene.world.support_on_leave[0]
    attacker = scene.attacker(f"203.0.113.{scene.chance.randrange(5, 250)}", "Mozilla/5.0 (compatible; hydra)")
    scene.went_for(victim.login)
    for attempt in range(BRUTE_FORCE_TRIES):
        guess = f"{scene.chance.choice(COMMON_PASSWORDS)}{attempt}"
        expected = expect.BAD_PASSWORD if attempt < LOCK_AFTER else expect.LOCKED
        await attacker.log_in(victim.login, guess, expected, f"password guess {attempt + 1}")
        await attacker.wait(scene.chance.uniform(0.15, 0.32))


async def credential_stuffing(scene: Scene) -> None:
    await scene.unlock_everyone()
    world, chance = scene.world, scene.chance
    # The first of the quiet customers is the sprayer's.
    known = chance.sample(world.quiet[1:], 20)
    hits = set(chance.sample(range(8, 20), 2))
    strangers = [f"{chance.choice(FIRST_NAMES)}{chance.randrange(100)}@mail.example" for _ in range(STUFFING_PAIRS - 20)]
    pairs: list[tuple[str, str, Person | None]] = [(name, "leaked-" + name[:4], None) for name in strangers]
    for index, person in enumerate(known):
        pairs.append((person.login, person.password if index in hits else f"leaked-{index}", person))
    chance.shuffle(pairs)
    for login, password, owner in pairs:
        attacker = scene.attacker(f"198.51.100.{chance.randrange(20, 26)}", "okhttp/4.12.0")
        scene.went_for(login)
        fits = owner is not None and password == owner.password
        wrong = expect.UNKNOWN_USER if owner is None else expect.BAD_PASSWORD
        works = await attacker.log_in(login, password, expect.ALLOWED if fits else wrong, "try a leaked pair")
        if works and owner is not None:
            scene.took_over(owner, attacker)
            await _loot(scene, attacker, owner)
        await attacker.wait(chance.uniform(0.8, 2.0))


async def _loot(scene: Scene, attacker: Visitor, victim: Person) -> None:
    """What the thief of an account does first."""
    own = scene.world.orders_of(victim)[0]
    await attacker.wait(1.0)
    await attacker.ask("GET", "/me", expect.ALLOWED, "look at the stolen account")
    await attacker.ask("GET", "/orders", expect.ALLOWED, "list the victim's orders")
    await attacker.wait(1.5)
    await attacker.ask("GET", f"/orders/{own.id}/invoice", expect.ALLOWED, "read the victim's invoice")
    goods = {"sku": "kettle-pro", "quantity": 2}
    await attacker.ask("POST", "/orders", expect.CREATED, "order goods on the victim's account", json=goods)
    await attacker.ask("GET", "/admin/orders", expect.ROUTE_CLOSED, "try the staff pages")


async def password_spraying(scene: Scene) -> None:
    await scene.unlock_everyone()
    world, chance = scene.world, scene.chance
    names: list[tuple[str, Person | None]] = [(person.login, person) for person in world.quiet]
    while len(names) < SPRAY_ACCOUNTS:
        names.append((f"{chance.choice(FIRST_NAMES)}.{chance.choice(LAST_NAMES)}{len(names)}", None))
    # One try per account and round: the third failure of an account is still below the lock-out.
    for password in COMMON_PASSWORDS[:3]:
        chance.shuffle(names)
        for login, person in names:
            network = chance.randrange(SPRAY_NETWORKS)
            attacker = scene.attacker(f"2001:db8:a{network:02x}::{chance.randrange(1, 60000):x}", "Mozilla/5.0")
            scene.went_for(login)
            fits = person is not None and password == person.password
            wrong = expect.UNKNOWN_USER if person is None else expect.BAD_PASSWORD
            if await attacker.log_in(login, password, expect.ALLOWED if fits else wrong, f"spray {password}") and person:
                scene.took_over(person, attacker)
            await attacker.wait(chance.uniform(0.4, 1.0))
