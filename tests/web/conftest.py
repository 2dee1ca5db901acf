from __future__ import annotations

import pytest
from support import site


@pytest.fixture
async def here(tmp_path):
    """The app with a fresh database."""
    async with site.open(tmp_path) as opened:
        yield opened
