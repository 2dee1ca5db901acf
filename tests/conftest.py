"""Puts this folder on the path, so that tests share helpers as `from support.name import ...`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# A machine under load is no failure (no deadline). CI tries the same examples each time, so that a change is judged by what
# it changed; everywhere else each run tries new ones.
settings.register_profile("clew", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("clew")
