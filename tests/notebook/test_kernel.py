"""A real notebook: cells run in a kernel, and their outputs are what it would show."""

from __future__ import annotations

import gc
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
kernels = pytest.importorskip("jupyter_client.kernelspec")
manager = pytest.importorskip("jupyter_client.manager")
pytest.importorskip("ipykernel")

CELLS = [
    """
    import coshelf
    from coshelf.system.progress import choosing
    choosing._PATIENCE = choosing._INTERVAL = 0
    shelf = coshelf.open("recipes.shelf")
    shelf.update({f"soups/{number:02}": {"minutes": number} for number in range(12)})
    shelf
    """,
    "print(shelf); shelf.keys('soups/1*')",
    "shelf.stats()",
    "shelf.check(progress=True)",
    "1 / 0",
    "shelf.close(); shelf",
]


KernelManager: Any = manager.KernelManager


class ThisPython(KernelManager):  # type: ignore[misc]
    """Starts a kernel of the Python that runs the test, whatever kernels are installed for this user."""

    @property
    def kernel_spec(self) -> Any:
        return kernels.KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="this Python",
            language="python",
        )


def outputs(cell: Any) -> list[Any]:
    return [each for each in cell.outputs if each.output_type in ("execute_result", "display_data")]


@pytest.mark.filterwarnings("ignore")  # of the packages that run notebooks
def test_notebook_shows_tables_and_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(textwrap.dedent(cell).strip()) for cell in CELLS]
    )
    client = nbclient.NotebookClient(
        notebook, timeout=120, startup_timeout=120, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}}
    )
    with tempfile.TemporaryDirectory(prefix="k") as sockets:  # no ports, which other processes could take
        client.km = ThisPython(connection_file=f"{sockets}/kernel.json", transport="ipc", ip=f"{sockets}/k")
        client.execute()
    gc.collect()  # so that warnings about what these packages leave open belong to this test
    first, keys, stats, checked, failed, closed = notebook.cells
    html = outputs(first)[0].data["text/html"]
    assert "12 entries, lmdb, rw" in html and "&#x27;soups/09&#x27;" in html and "… 2 more" in html
    assert "12 keys" in keys.outputs[0].text
    assert "&#x27;soups/11&#x27;" in outputs(keys)[0].data["text/html"]
    assert outputs(keys)[0].data["text/plain"].startswith("<ShelfKeys('soups/1*') of ")
    assert "soups/" in outputs(stats)[0].data["text/html"]
    bar, report = outputs(checked)
    assert "pages" in bar.data["text/plain"] and " in " in bar.data["text/plain"]
    assert "<progress" not in bar.data["text/html"], "the work has ended"
    assert "no damage" in report.data["text/html"]
    assert failed.outputs[0].ename == "ZeroDivisionError"
    assert "closed Shelf" in outputs(closed)[0].data["text/html"]
