"""Named attacks on the shop. Each knows what it does, which alert should see it, and what every request should earn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from app.errors import InvalidInput
from app.lab.attacks import access, outages, passwords, tokens
from app.lab.scene import Scene


class Attack(msgspec.Struct, frozen=True):
    """`alerts` are those of the project's rules that should fire; empty where metrics cannot see it."""

    name: str
    about: str
    alerts: tuple[str, ...]
    script: Callable[[Scene], Awaitable[None]]


ATTACKS = {
    attack.name: attack
    for attack in (
        Attack(
            "brute-force",
            "One address tries hundreds of passwords on one account, which locks.",
            ("AuthBruteForce",),
            passwords.brute_force,
        ),
        Attack(
            "credential-stuffing",
            "A leaked list of names and passwords, one try each: two fit, and the accounts are used at once.",
            ("AuthCredentialStuffing",),
            passwords.credential_stuffing,
        ),
        Attack(
            "password-spraying",
            "Three common passwords on many accounts from many networks, too few per network to notice; one fits.",
            ("AuthFailureShareHigh",),
            passwords.password_spraying,
        ),
        Attack(
            "authorization-probing",
            "A customer, then a support account, tries every door: routes, roles, policies, other people's rows.",
            ("AuthorizationProbing",),
            access.probing,
        ),
        Attack(
            "object-walking",
            "A customer counts through order numbers to read other people's orders.",
            ("AuthorizationProbing",),
            access.object_walking,
        ),
        Attack(
            "expired-token",
            "Tokens taken hours ago are tried again and again.",
            ("AuthTokenReplay",),
            tokens.expired_replay,
        ),
        Attack(
            "stolen-token",
            "A live token is used from a second address: reading works, paying asks for a second factor.",
            (),
            tokens.stolen_replay,
        ),
        Attack(
            "fail-open",
            "The policy service is down and orders is set to go on without it; later orders ignores policy's denials.",
            ("AuthChecksBroken",),
            outages.fail_open,
        ),
        Attack(
            "identity-outage",
            "Identity hangs: the gateway refuses every write, log-ins fail, reads go on.",
            ("AuthChecksBroken",),
            outages.identity_outage,
        ),
        Attack(
            "dropped-context",
            "A hop before billing drops the trace headers: the request's trace ends there, another begins.",
            (),
            outages.dropped_context,
        ),
    )
}

# Those that break or misconfigure a service while they run, for everybody.
OUTAGES = frozenset({"fail-open", "identity-outage", "dropped-context"})


def named(name: str) -> Attack:
    """Errors: InvalidInput lists the names there are."""
    try:
        return ATTACKS[name]
    except KeyError:
        raise InvalidInput(f"There is no attack {name[:40]!r}. There are: {', '.join(ATTACKS)}.", field="name") from None
