import sys
import types

from coshelf import shelve


class Own:
    pass


class Mine(shelve.DbfilenameShelf):
    def sync(self):
        print("sync")
        super().sync()


shelf = Mine(sys.argv[1], writeback=True)
shelf["a"] = [1]
shelf["a"].append(Own())
keeper = types.ModuleType("keeper")
keeper.shelf = shelf  # type: ignore[attr-defined]
sys.modules["keeper"] = keeper
