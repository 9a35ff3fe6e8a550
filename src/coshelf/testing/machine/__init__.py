"""The parts of :class:`coshelf.testing.ShelfMachine`: what is drawn, the model, and rules by subject."""
