"""Who may do what: permissions as an enum, roles as sets of them, a person as the bearer of one role.

viewer   reads alerts, traces and cases
analyst  also works: triages alerts, keeps cases, preserves evidence, exports
admin    also looks after people and the house rules, and reads the audit log
"""

from __future__ import annotations

import dataclasses
import enum

from app.errors import Forbidden


class Permission(enum.StrEnum):
    READ = "read"
    ALERT_TRIAGE = "alert_triage"
    CASE_WRITE = "case_write"
    CASE_EXPORT = "case_export"
    USER_MANAGE = "user_manage"
    AUDIT_READ = "audit_read"
    RULES_WRITE = "rules_write"


class Role(enum.StrEnum):
    VIEWER = "viewer"
    ANALYST = "analyst"
    ADMIN = "admin"


_VIEWER = frozenset({Permission.READ})
_ANALYST = _VIEWER | {Permission.ALERT_TRIAGE, Permission.CASE_WRITE, Permission.CASE_EXPORT}
GRANTS: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.ANALYST: _ANALYST,
    Role.ADMIN: _ANALYST | {Permission.USER_MANAGE, Permission.AUDIT_READ, Permission.RULES_WRITE},
}

# What each permission lets a person do, to complete "A viewer cannot ...".
DOING: dict[Permission, str] = {
    Permission.READ: "read this",
    Permission.ALERT_TRIAGE: "triage alerts",
    Permission.CASE_WRITE: "change cases",
    Permission.CASE_EXPORT: "export cases",
    Permission.USER_MANAGE: "manage people",
    Permission.AUDIT_READ: "read the audit log",
    Permission.RULES_WRITE: "change house rules",
}


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody signed in (or the command line acting for whoever may run it).

    name:         what they sign in with
    display_name: what pages call them
    """

    id: str
    name: str
    display_name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        return allows(self.role, permission)

    @property
    def initials(self) -> str:
        words = [word for word in self.display_name.replace(".", " ").replace("_", " ").split() if word[0].isalnum()]
        return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "?"


# Acts from a shell on the server have an actor too: the audit row then says so, rather than nothing.
COMMAND_LINE = Person(id="", name="command line", display_name="Command line", role=Role.ADMIN)
# What Clew does by itself: webhooks received, alert history kept.
CLEW = Person(id="", name="clew", display_name="Clew", role=Role.ADMIN)


def allows(role: Role, permission: Permission) -> bool:
    return permission in GRANTS[role]


def least_role(permission: Permission) -> Role:
    """The most modest role that grants it."""
    return next(role for role in Role if permission in GRANTS[role])


def require(person: Person, permission: Permission) -> None:
    """Pass when the person's role grants it.

    Errors: Forbidden says what the role cannot do and which role can.
    """
    if person.may(permission):
        return
    article = "An" if person.role.value[0] in "aeiou" else "A"
    able = [f"{role}s" for role in Role if permission in GRANTS[role]]
    raise Forbidden(
        f"{article} {person.role} cannot {DOING[permission]}. {' and '.join(able).capitalize()} can.",
        needs=least_role(permission).value,
    )
