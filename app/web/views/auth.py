"""The log-in page."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class LoginView:
    """name, next: what was given, to be given again
    wrong:      why the last try did not let in
    rule:       how many tries there are, said with the refusal
    first:      nobody exists yet: tell how to add somebody
    unreachable: the cookie asks for HTTPS and this connection is not: signing in would not last
    idle_min:   minutes without use after which a session ends
    """

    next: str
    idle_min: int
    name: str = ""
    wrong: str = ""
    rule: str = ""
    first: bool = False
    unreachable: bool = False
