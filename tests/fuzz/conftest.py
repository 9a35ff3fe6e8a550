"""The fuzzer's modules are scripts of this directory, and found as they find each other."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
