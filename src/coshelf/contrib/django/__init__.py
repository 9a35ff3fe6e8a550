"""Django on a shelf: a cache, sessions, and a durable backend of Tasks. docs/integrations/django.md.

==========================================  =====================================================
``coshelf.contrib.django.cache``            ``CoshelfCache``, for ``CACHES``
``coshelf.contrib.django.sessions``         for ``SESSION_ENGINE``
``coshelf.contrib.django.tasks``            ``CoshelfBackend``, for ``TASKS`` of Django 6.0 and later
``coshelf.contrib.django``                  for ``INSTALLED_APPS``: the command ``coshelf_worker``
==========================================  =====================================================
"""
