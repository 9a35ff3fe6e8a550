"""A durable backend for Django's Tasks: queues and results in a shelf, and a worker as ``manage.py coshelf_worker``."""

from __future__ import annotations

import django
from django.core.exceptions import ImproperlyConfigured

if django.VERSION < (6, 0):
    raise ImproperlyConfigured(f"Tasks are new in Django 6.0, and this is Django {django.get_version()}")

from coshelf.contrib.django.tasks.backend import CoshelfBackend
from coshelf.contrib.django.tasks.rows import WorkerDied
from coshelf.contrib.django.tasks.worker import Worker

__all__ = ["CoshelfBackend", "Worker", "WorkerDied"]
