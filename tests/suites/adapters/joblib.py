"""joblib's own tests of ``Memory``, with a store in a shelf."""

from __future__ import annotations

from adapter_suite import Suite

SUITE = Suite(
    name="joblib",
    distribution="joblib",
    label="its tests of `Memory` (`test_memory.py`)",
    overlay=("conftest.py", "test_memory.py"),
    tests=("test_memory.py",),
    deselected=(
        "test_memory.py::test_parallel_call_cached_function_defined_in_jupyter",
        "test_memory.py::test_memory_numpy_check_mmap_mode",
        "test_memory.py::test_memorized_result_forwards_mmap_mode",
        "test_memory.py::test_func_dir",
        "test_memory.py::test_persistence",
        "test_memory.py::test_call_and_shelve_lazily_load_stored_result",
        "test_memory.py::test__get_items_of_files",
        "test_memory.py::test_memory_clear",
    ),
    why="a directory of results with joblib's own files in it, or arrays that are `numpy.memmap` over such a file",
)
