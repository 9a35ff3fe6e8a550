"""Puts our session in the place of the SDK's own, before its tests import that."""

import agents.extensions.memory

from coshelf.contrib.llm import AgentsSession


class AsyncSQLiteSession(AgentsSession):
    def __init__(self, session_id, db_path="memory:", **options):
        super().__init__(session_id, db_path, **options)


agents.extensions.memory.AsyncSQLiteSession = AsyncSQLiteSession
