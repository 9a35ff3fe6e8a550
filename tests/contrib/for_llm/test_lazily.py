"""``coshelf.contrib.llm`` imports a framework when a name of it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import coshelf.contrib.llm

FRAMEWORKS = "{'langchain_core', 'llama_index', 'litellm', 'agents'} & set(sys.modules)"


def test_the_module_imports_no_framework() -> None:
    program = f"import sys, coshelf.contrib.llm as llm; dir(llm); print({FRAMEWORKS} or 'none')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "none\n"


def test_a_framework_that_is_missing_is_named() -> None:
    program = (
        "import sys; sys.modules['litellm'] = None\n"
        "import coshelf.contrib.llm as llm\n"
        "try: llm.LiteLLMCache\n"
        "except ImportError as error: print(error.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("litellm")


def test_all_names_are_listed_and_others_are_missing() -> None:
    assert set(coshelf.contrib.llm.__all__) <= set(dir(coshelf.contrib.llm))
    with pytest.raises(AttributeError, match="no attribute 'HaystackCache'"):
        coshelf.contrib.llm.HaystackCache  # type: ignore[attr-defined]
