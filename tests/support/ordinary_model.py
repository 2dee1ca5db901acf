"""What ordinary visits add to the span metrics, without a shop: for stretches too long to walk through.

Held against real visits in tests/integration/test_rules.py, so that a day of the model stands for a day of the shop.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator

from app.lab.traffic import Step, Visit

# service, span, result, method, reason
Event = tuple[str, str, str, str, str]


def _ok(service: str, span: str, method: str = "unset") -> Event:
    return (service, span, "success", method, "none")


TOKEN = _ok("edge-gateway", "auth.token_validate", "bearer")
ROUTE = _ok("edge-gateway", "auth.permission_check")
ORDERS = _ok("orders", "auth.permission_check")
POLICY = _ok("orders", "auth.authorize")
BILLING = _ok("billing", "auth.permission_check")

EVENTS: dict[Step, tuple[Event, ...]] = {
    Step.CATALOGUE: (),
    Step.TYPO: (("identity", "auth.login", "failure", "password", "invalid_credentials"),),
    Step.LOG_IN: (_ok("identity", "auth.login", "password"),),
    Step.MY_ORDERS: (TOKEN, ROUTE, ORDERS),
    Step.MY_ORDER: (TOKEN, ROUTE, ORDERS),
    Step.INVOICE: (TOKEN, ROUTE, BILLING),
    Step.BUY: (TOKEN, ROUTE, ORDERS, POLICY),
    Step.PAY: (TOKEN, ROUTE, ORDERS, BILLING),
    Step.ADMIN_CLICK: (TOKEN, ("edge-gateway", "auth.permission_check", "failure", "unset", "insufficient_scope")),
    Step.WRONG_LINK: (TOKEN, ROUTE, ("orders", "auth.permission_check", "failure", "unset", "forbidden")),
    Step.ALL_ORDERS: (TOKEN, ROUTE, ORDERS),
    Step.ANY_ORDER: (TOKEN, ROUTE, ORDERS),
    Step.LOG_OUT: (TOKEN, ROUTE),
}


def subnet(address: str) -> str:
    return str(ipaddress.ip_network((address, 24), strict=False))


def events(visit: Visit) -> Iterator[tuple[float, Event]]:
    """Moments (seconds from the plan's start) and events of one visit. A refund counts as the denied one it may be."""
    at = visit.start_s
    for wait_s, step in visit.steps:
        at += wait_s
        if step is Step.REFUND:
            yield from (
                (at, event)
                for event in (TOKEN, ROUTE, ORDERS, ("orders", "auth.authorize", "failure", "unset", "policy_denied"))
            )
        else:
            yield from ((at, event) for event in EVENTS[step])


def counts(visits: Iterable[Visit]) -> Counter[tuple[Event, str]]:
    """How often each event was counted from each subnet."""
    return Counter((event, subnet(visit.address)) for visit in visits for _, event in events(visit))
