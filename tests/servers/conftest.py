"""Makes the modules beside the tests importable, and their fixtures known."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from servers.postgresql import postgresql

__all__ = ["postgresql"]
