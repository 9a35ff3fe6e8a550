"""Django's tests of session engines, with ours."""

import tempfile

from django.test import SimpleTestCase, override_settings
from sessions_tests.tests import SessionMiddlewareTests, SessionTestsMixin

from coshelf.contrib.django.sessions import SessionStore


class CoshelfSessionTests(SessionTestsMixin, SimpleTestCase):
    """Each test has a shelf of its own."""

    backend = SessionStore

    def setUp(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.enterContext(override_settings(SESSION_SHELF=f"{directory}/sessions.shelf"))
        super().setUp()


@override_settings(USE_TZ=True)
class CoshelfSessionWithTimeZoneTests(CoshelfSessionTests):
    """The same with time zones."""


@override_settings(SESSION_ENGINE="coshelf.contrib.django.sessions")
class CoshelfMiddlewareTests(SessionMiddlewareTests):
    """The middleware of sessions with our engine."""

    test_empty_session_saved = None  # it looks for the session in a table of the database

    def setUp(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.enterContext(override_settings(SESSION_SHELF=f"{directory}/sessions.shelf"))
