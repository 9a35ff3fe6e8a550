"""The parts of :class:`coshelf.testing.ShelfMachine`: what hypothesis draws, the model, and rules by subject."""
