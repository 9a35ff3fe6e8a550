"""The parts of :class:`coshelf.testing.EngineContract`: tests by subject, and the words that they use."""
