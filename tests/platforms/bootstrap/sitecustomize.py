"""Runs first in every interpreter where something is lacking. ``environment.py`` puts this folder on PYTHONPATH."""

from __future__ import annotations

import lacking

lacking.install()
