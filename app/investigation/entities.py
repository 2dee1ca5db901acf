"""Who and what an alert or a verdict speaks of: a value and the kind of thing it names."""

from __future__ import annotations

import enum

import msgspec


class EntityKind(enum.StrEnum):
    SERVICE = "service"
    USER = "user"
    ADDRESS = "address"
    SUBNET = "subnet"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105 - the name of a kind
    RESOURCE = "resource"


# Kinds that act, the most telling first: an alert is titled and grouped by the first of these it names.
ACTORS = (EntityKind.USER, EntityKind.SESSION, EntityKind.TOKEN, EntityKind.ADDRESS, EntityKind.SUBNET)


class Entity(msgspec.Struct, frozen=True, order=True):
    """`label` is where it was read: an alert's label, or "" where a verdict named it."""

    kind: EntityKind
    value: str
    label: str = ""

    @property
    def acts(self) -> bool:
        """It is somebody, not somewhere: a search narrowed to it can afford to show every outcome."""
        return self.kind in ACTORS


def actor(entities: tuple[Entity, ...]) -> Entity | None:
    """The most telling of those that act."""
    return next((entity for kind in ACTORS for entity in entities if entity.kind is kind), None)


def service(entities: tuple[Entity, ...]) -> Entity | None:
    return next((entity for entity in entities if entity.kind is EntityKind.SERVICE), None)
