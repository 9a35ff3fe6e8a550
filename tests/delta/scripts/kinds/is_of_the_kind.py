import os

from insides import commits_to_base, environment_of, flush_threads
from scripts.kinds.opened import kind, open_shelf
from talking import path

from coshelf.engines.lmdb.delta import state
from coshelf.engines.lmdb.files.sidecar_directory import delta_path

with open_shelf() as shelf:
    assert shelf.capabilities.acknowledged == ("durable" if kind == "DIRECT" else "machine")
    environment = environment_of(shelf)
    assert environment.has_delta == (kind != "DIRECT")
    assert not os.path.exists(delta_path(path, 0))
    before = commits_to_base(path)
    shelf["a"] = 1
    shelf["b"] = 1
    assert os.path.exists(delta_path(path, 0)) == (kind != "DIRECT")
    assert environment.page.delta.identity().kind == getattr(state, kind)
    if kind == "DIRECT":
        assert commits_to_base(path) == before + 2
        assert not flush_threads()
