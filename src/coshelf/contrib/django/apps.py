"""The app that adds the command ``coshelf_worker`` to ``manage.py``. It has no models."""

from __future__ import annotations

from django.apps import AppConfig

__all__ = ["CoshelfConfig"]


class CoshelfConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """``"coshelf.contrib.django"`` in ``INSTALLED_APPS``."""

    name = "coshelf.contrib.django"
    label = "coshelf"
    verbose_name = "coshelf"
