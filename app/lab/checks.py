"""Hand-written `auth.*` spans, as the shop's developers write them: one span per check, a result on every way out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

AttributeValue = str | bool | int | float | Sequence[str]


class Dialect(msgspec.Struct, frozen=True):
    """Which names a service writes. The shop is halfway through renaming, as most shops are."""

    address: str
    user_id: str
    roles: str
    login: str


CURRENT = Dialect(address="client.address", user_id="user.id", roles="user.roles", login="user.name")
OLDER = Dialect(address="net.peer.ip", user_id="auth.subject", roles="auth.roles", login="auth.username")


class Check:
    """An open check: say `allow`, `deny` or `broke` once; a check left without a word counts as broken."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._settled = False

    def note(self, **attributes: AttributeValue) -> None:
        """Further attributes; keyword underscores stand for dots."""
        for key, value in attributes.items():
            self.span.set_attribute(key.replace("__", "."), value)

    def allow(self) -> None:
        self._settle("success")

    def deny(self, reason: str) -> None:
        """`reason` is one of the closed list that metrics may carry as a label."""
        self.span.set_attribute("auth.failure_reason", reason)
        self._settle("failure", reason)

    def broke(self, error: str) -> None:
        """The check could not decide: what it depends on failed with `error`."""
        self.span.set_attribute("auth.failure_reason", "upstream_error")
        self._settle("error", error)

    def close(self, error: BaseException | None) -> None:
        if not self._settled:
            self.broke(type(error).__name__ if error else "no_verdict")

    def _settle(self, result: str, error_type: str = "") -> None:
        self.span.set_attribute("auth.result", result)
        if error_type:
            self.span.set_attribute("error.type", error_type)
            self.span.set_status(Status(StatusCode.ERROR))
        self._settled = True


def subnet(address: str) -> str:
    """The /24 or /48 an address lies in, which may become a label where the address may not; "" for what is none."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


@contextmanager
def check(tracer: trace.Tracer, name: str, attributes: dict[str, AttributeValue]) -> Iterator[Check]:
    """A span of the given name around a check, with the client's subnet beside its address."""
    network = subnet(str(attributes.get(CURRENT.address) or attributes.get(OLDER.address) or ""))
    if network:
        attributes = {**attributes, "auth.client.subnet": network}
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        opened = Check(span)
        failure: BaseException | None = None
        try:
            yield opened
        except BaseException as error:
            failure = error
            raise
        finally:
            opened.close(failure)
