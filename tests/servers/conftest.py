"""Makes the helpers beside the tests importable, and the servers available to them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from valkey_servers import cluster, cluster_base, server, server_base  # noqa: F401 (fixtures)
