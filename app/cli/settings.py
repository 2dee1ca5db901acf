"""Settings for a command, with their mistakes as sentences."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from app import settings
from app.errors import InvalidInput


def load(**given: Any) -> settings.Settings:
    """Settings from the environment and the TOML file, `given` first.

    Errors: InvalidInput names each setting that is wrong. Values are not repeated: they may be secrets.
    """
    try:
        return settings.load(**given)
    except ValidationError as error:
        wrong = "; ".join(
            f"CLEW_{'__'.join(str(part) for part in each['loc']).upper()}: {each['msg']}" for each in error.errors()
        )
        raise InvalidInput(f"Settings that cannot be used: {wrong}.") from None
    except (FileNotFoundError, ValueError) as error:
        raise InvalidInput(f"Settings cannot be read: {error}.") from None
