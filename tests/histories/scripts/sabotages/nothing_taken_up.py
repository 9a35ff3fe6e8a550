"""An opener that never takes up what was left."""

from coshelf.engines.lmdb.files import sidecars

sidecars.belongs = lambda *_: False  # type: ignore[attr-defined]
