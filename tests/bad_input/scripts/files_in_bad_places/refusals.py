"""What is refused to a user without rights, in a way that names the directory."""

import sys

import coshelf

root, what = sys.argv[1:]
url = "files:" + root


def refused(work):
    try:
        work()
    except coshelf.ShelfPermissionError as error:
        assert root in str(error), error
    else:
        raise AssertionError("not refused")


match what:
    case "writes":
        for flag in ("r", "w", "c"):
            with coshelf.open(url, flag) as shelf:
                assert dict(shelf) == {"a": 1, "b/c": [2]}
                with shelf.snapshot() as then:
                    assert len(then) == 2
        for work in (
            lambda s: s.clear(),
            lambda s: s.pop("a"),
            lambda s: s.update(a=2),
            lambda s: s.__delitem__("b/c"),
            lambda s: s.__setitem__("new", 1),
            lambda s: s.modify("a", lambda n: n + 1),
        ):
            with coshelf.open(url) as shelf:
                refused(lambda: work(shelf))
        refused(lambda: coshelf.open(url, "n"))
        refused(lambda: coshelf.open(url + "/below"))
    case "reads":
        with coshelf.open(url, "r") as shelf:
            refused(lambda: shelf["a"])
            refused(lambda: shelf.get("a"))
            assert shelf["b/c"] == [2]
            assert list(shelf) == ["a", "b/c"]
    case "opening":
        refused(lambda: coshelf.open(url, "r"))
        refused(lambda: coshelf.open(url))
    case _:
        raise AssertionError(what)
