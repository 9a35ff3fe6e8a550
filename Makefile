# Every target works in a fresh clone: it makes the environment it needs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
GROUPS = --group lint --group bench

.PHONY: demo test test-long crash lint types bench clean

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . $(GROUPS)
	touch $@

demo: $(VENV)/ready
	$(BIN)/python examples/index_stdlib.py

test: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not long'
	$(BIN)/python tests/other_interpreters.py

test-long: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist worksteal

crash: $(VENV)/ready
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/crash

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy
	$(BIN)/basedpyright

bench: $(VENV)/ready
	$(BIN)/python benchmarks/against_shelve.py

clean:
	rm -rf $(VENV) .venv-* build dist
