"""The programs that ``make suites`` runs: where their tests are, and which of them look inside the original."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DISKCACHE", "PROGRAMS", "SQLITEDICT", "Program"]


@dataclass(frozen=True)
class Program:
    """A program, its own tests of what it does with the original, and a script of its use."""

    name: str
    """Its name on PyPI."""
    version: str
    requirements: tuple[str, ...] = ()
    """What pip installs. Empty: the program and its version."""
    replaced: str = "diskcache"
    """The module in whose place ours stands."""
    unpacked: tuple[str, ...] = ()
    """What is taken from its source distribution: files, and directories with a slash at their end."""
    own_tests: tuple[str, ...] = ()
    deselected: tuple[str, ...] = ()
    """Those of its own tests that look inside the original: names as pytest writes them."""
    why_deselected: str = ""
    options: tuple[str, ...] = ()
    """Options of pytest for its own tests."""
    environment: tuple[tuple[str, str], ...] = ()
    script: str = ""
    """The script of its use, in tests/suites/scripts."""
    obeys_permissions: bool = False
    """Whether a test expects that files without permissions cannot be removed, which root can."""
    label: str = ""
    """What the page calls it, if that is not its name."""
    original: str = "diskcache==5.6.3"
    """What pip installs of the original, for the proof that tests and script hold with it."""


def _named(file: str, names: str) -> tuple[str, ...]:
    return tuple(f"tests/{file}.py::test_{name}" for name in names.split())


DISKCACHE = Program(
    "diskcache",
    "5.6.3",
    ("diskcache==5.6.3", "django==4.2.*", "pytest-django", "pytest-rerunfailures", "pytest-xdist"),
    own_tests=tuple(
        f"tests/test_{name}.py" for name in ("core", "fanout", "deque", "index", "recipes", "djangocache", "doctest")
    ),
    deselected=(
        *_named("test_core", "disk_reset custom_filename_disk init_makedirs pragma_error close_error get_keyerror4"),
        *_named("test_core", "set_timeout get_ioerror_fast_path pop_ioerror check integrity_check clear_timeout"),
        *_named("test_core", "add_timeout pull_ioerror peek_ioerror peekitem_ioerror pragmas cull_timeout"),
        *_named("test_core", "cleanup_dirs disk_write_os_error"),
        *_named("test_fanout", "set_timeout touch_timeout add_timeout incr_timeout decr_timeout get_timeout"),
        *_named("test_fanout", "pop_timeout delete_timeout remove_timeout reset_timeout volume custom_filename_disk"),
        *_named("test_deque", "index_positive index_negative index_out_of_range iter_keyerror reversed_keyerror"),
        *_named("test_deque", "remove_keyerror rotate_indexerror rotate_indexerror_negative"),
    ),
    why_deselected="they look inside SQLite",
    options=("-n", "2", "--reruns", "2"),
    environment=(("DJANGO_SETTINGS_MODULE", "tests.settings"),),
)

SQLITEDICT = Program(
    "sqlitedict",
    "2.1.0",
    replaced="sqlitedict",
    unpacked=("tests/",),
    own_tests=("tests",),
    obeys_permissions=True,
    original="sqlitedict==2.1.0",
)

PROGRAMS = (
    Program(
        "outlines",
        "1.3.3",
        ("outlines==1.3.3", "pytest-mock"),
        unpacked=("tests/test_cache.py",),
        own_tests=("tests/test_cache.py",),
        script="use_outlines.py",
        label="Outlines",
    ),
    Program(
        "dspy", "3.4.1", script="use_dspy.py", label="DSPy", environment=(("LITELLM_LOCAL_MODEL_COST_MAP", "True"),)
    ),
    Program(
        "llama-cpp-python",
        "0.3.36",
        ("numpy", "typing-extensions"),
        unpacked=("llama_cpp/llama.py", "llama_cpp/llama_cache.py", "llama_cpp/llama_types.py"),
        script="use_llama_cpp.py",
        label="llama-cpp-python, `LlamaDiskCache`",
    ),
    Program(
        "cashews",
        "7.6.0",
        ("cashews[diskcache]==7.6.0",),
        unpacked=("tests/test_settings_url.py",),
        own_tests=("tests/test_settings_url.py",),
        options=("-k", "with_diskcache"),
        script="use_cashews.py",
        label="cashews, `disk://`",
    ),
    Program(
        "py-key-value-aio",
        "0.5.0",
        ("py-key-value-aio[disk]==0.5.0",),
        script="use_py_key_value.py",
        label="py-key-value-aio, `DiskStore`, `MultiDiskStore`",
    ),
    Program(
        "ragas",
        "0.4.3",
        ("ragas==0.4.3", "langchain-community<0.4", "pytest-asyncio"),
        unpacked=("tests/",),
        own_tests=("tests/unit/test_cache.py", "tests/unit/test_embeddings_caching.py"),
        options=("-o", "asyncio_mode=auto"),
        script="use_ragas.py",
        label="Ragas",
    ),
    Program(
        "instructor",
        "1.17.0",
        ("instructor==1.17.0", "pytest-asyncio"),
        unpacked=("tests/coverage/test_cache_coverage.py",),
        own_tests=("tests/coverage/test_cache_coverage.py",),
        script="use_instructor.py",
        label="Instructor",
    ),
    Program(
        "dvc-data",
        "3.18.3",
        ("dvc-data==3.18.3", "pytest-mock"),
        unpacked=("tests/",),
        own_tests=("tests/hashfile", "tests/index"),
        deselected=(
            "tests/hashfile/test_cache.py::test_hashes_cache",
            "tests/hashfile/test_cache.py::test_hashes_cache_many",
            "tests/hashfile/test_cache.py::test_hashes_cache_update",
            "tests/hashfile/test_checkout.py::test_checkout_save_link_dir",
            "tests/hashfile/test_checkout.py::test_checkout_save_link_file",
            "tests/hashfile/test_state.py::test_hashes",
            "tests/hashfile/test_state.py::test_hashes_get_invalid_data",
            "tests/hashfile/test_state.py::test_hashes_without_version",
            "tests/hashfile/test_state.py::test_state_many",
        ),
        why_deselected="`HashesCache` writes SQL through private names",
        label="dvc-data",
    ),
    Program(
        "weave",
        "0.54.0",
        script="use_weave.py",
        label="Weave",
        original="diskcache-weave",
    ),
)
