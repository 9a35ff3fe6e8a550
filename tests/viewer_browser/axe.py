"""axe-core, which looks for what keeps people from using a page. It comes with the package axe-core-python."""

from __future__ import annotations

from importlib.resources import files

from chromium import Tab

__all__ = ["violations"]


def violations(tab: Tab, *, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe-core finds on the page that is shown, one text for each element. ``rules``: only these."""
    if not tab.run("return typeof axe === 'object'"):
        tab.run((files("axe_core_python") / "axe.min.js").read_text("utf-8"))
    found = tab.run(
        "return axe.run(document, {resultTypes: ['violations'], ...arguments[0]}).then(found => "
        "found.violations.flatMap(rule => rule.nodes.map(node => "
        "`${rule.id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`)))",
        {"runOnly": list(rules)} if rules else {},
    )
    return list(found)
