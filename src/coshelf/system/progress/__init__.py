"""Progress of what takes long: told to a function of the caller, or shown on a terminal or in a notebook."""

from coshelf.system.progress.choosing import showing

__all__ = ["showing"]
