"""The parts of :class:`coshelf.testing.EngineContract`: tests by subject, and their helpers."""
