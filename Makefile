# Every target works in a fresh clone: it makes the environment it needs.
PYTHON ?= python3
VENV ?= .venv
# Windows has the programs of an environment in another folder.
PROGRAMS_IN = $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN = $(VENV)/$(PROGRAMS_IN)
GROUPS = --group lint
# Tests start thousands of processes. Without bytecode on disk each compiles all that it imports, which doubles the time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo docs docs-links test test-long test-portable suites sanitize crash fuzz lint types bench bench-quick bench-growth bench-evicting clean

$(VENV)/ready: pyproject.toml $(wildcard native/*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable . $(GROUPS)
	touch $@

# The demo runs from the source, with what coshelf and the demo require and nothing else: it is there within seconds.
DEMO = .venv-demo/bin/python
DEMO_NEEDS = import tomllib; m = tomllib.load(open("pyproject.toml", "rb")); \
	print(*m["project"]["dependencies"], *m["dependency-groups"]["demo"], sep="\n")
.venv-demo/ready: pyproject.toml
	$(PYTHON) -m venv .venv-demo
	$(DEMO) -c '$(DEMO_NEEDS)' > .venv-demo/needs.txt
	$(DEMO) -m pip install --quiet --disable-pip-version-check --requirement .venv-demo/needs.txt
	touch $@

demo: .venv-demo/ready
	PYTHONPATH=src $(DEMO) examples/bank.py

# The tests in a browser run in one process, which has one browser. Chromium has processes enough.
WITHOUT_BROWSER = --ignore=tests/viewer_browser
# The tests of adapters run in processes of their own: frameworks take long to import.
WITHOUT_ADAPTERS = --ignore-glob='*/tests/contrib/for_*' --ignore=tests/contrib/test_time_edges.py --ignore=src/coshelf/contrib

# Three processes, though two processors are what there must be: tests wait for servers, disks and other processes.
test: $(VENV)/ready
	$(BIN)/python tests/second_run.py -n 3 --dist worksteal -m 'not long' $(WITHOUT_ADAPTERS) $(WITHOUT_BROWSER)
	$(BIN)/python tests/second_run.py -q -m 'not long' tests/viewer_browser
	$(BIN)/python tests/adapters.py
	$(BIN)/python tests/other_interpreters.py

# Where not all of `make test` can run: other kernels and C libraries, and Pythons for which few packages have wheels.
# It needs no shell: nothing but Python and its packages.
PORTABLE = .venv-portable/$(PROGRAMS_IN)/python
.venv-portable/ready: pyproject.toml $(wildcard native/*.[ch])
	$(PYTHON) -m venv .venv-portable
	$(PORTABLE) -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(PORTABLE) -m pip install --quiet --disable-pip-version-check --no-compile --editable . --group test-portable
	$(PORTABLE) -c "import pathlib; pathlib.Path('$@').touch()"

test-portable: .venv-portable/ready
	$(PORTABLE) tests/portable.py

# On a disk, while `make test` writes to memory if it can (tests/conftest.py).
test-long: $(VENV)/ready
	TMPDIR=$${TMPDIR:-/tmp} $(BIN)/python -m pytest -n 2 --dist worksteal

# Frameworks' own tests with our adapters (docs/integrations); programs that use diskcache or sqlitedict, and the tests of
# these two, with our modules under these names. The counts go into the pages. DISKCACHE=PATH: a checkout of diskcache at
# v5.6.3. PROGRAMS=NAME ...: these only, and no page changes; `adapters` and `adapters/NAME` are names, too.
DISKCACHE ?=
PROGRAMS ?=
suites: $(VENV)/ready
	$(BIN)/python tests/suites/run.py --diskcache '$(DISKCACHE)' $(PROGRAMS)

# The tests of the module in C over builds with AddressSanitizer, UndefinedBehaviorSanitizer and ThreadSanitizer.
sanitize: $(VENV)/ready
	for kind in address thread; do $(BIN)/python tests/native/sanitized.py $$kind || exit 1; done

# As root, with FUSE (fuse3 and xfsprogs of Debian) and loop devices, power is cut at the block level, too.
crash: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group crash
	$(BIN)/python -m pytest -n 2 --dist worksteal tests/crash

# A million mutated records, keys and files, then what a fuzzer finds that is guided by coverage. The module in C has
# targets of its own, which clang builds.
FUZZ_INPUTS ?= 1000000
FUZZ_SEED ?= 0
FUZZ_SECONDS ?= 120
fuzz: $(VENV)/ready
	$(BIN)/python tests/fuzz/campaign.py --inputs $(FUZZ_INPUTS) --seed $(FUZZ_SEED)
	for target in record key file; do \
		$(BIN)/python tests/fuzz/guided.py $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; done
	for target in loads keys base log; do \
		PYTHONPATH=tests/native $(BIN)/python tests/fuzz/native_targets.py $$target -max_total_time=$(FUZZ_SECONDS) || exit 1; done

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy
	$(BIN)/mypy --config-file tests/mypy.ini
	$(BIN)/basedpyright

# The site, into docs/_build/html. It needs no network. A warning is an error, and so is a link to what does not exist.
SPHINX = $(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet --jobs 2 --doctree-dir docs/_build/pages
docs: $(VENV)/ready
	$(SPHINX) --builder html docs docs/_build/html
	$(BIN)/python -m pytest -q tests/docs/built_site.py

# Where there is a network: whether the pages of others that ours link to still exist.
docs-links: $(VENV)/ready
	$(SPHINX) --builder linkcheck docs docs/_build/links

# An interpreter with dbm.gnu, if there is one: most that people build themselves have none.
BENCH_PYTHON ?= $(shell for python in $(PYTHON) /usr/bin/python3; do \
	$$python -c 'import dbm.gnu, sys; assert sys.version_info >= (3, 11)' 2>/dev/null && echo $$python && break; done)
SQLITE_PYTHON ?= $(shell for python in python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python); do \
	$$python -c 'import dbm.sqlite3' 2>/dev/null && echo $$python && break; done)
BENCH = .venv-bench/bin/python
# The modules that start servers are those of the tests.
BENCH_SERVERS = PYTHONPATH=tests/servers $(BENCH)

.venv-bench/ready: pyproject.toml $(wildcard native/*.[ch])
	$(or $(BENCH_PYTHON),$(PYTHON)) -m venv .venv-bench
	$(BENCH) -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BENCH) -m pip install --quiet --disable-pip-version-check --editable . --group bench
	touch $@

# With BEFORE=COMMIT that version is measured, too: without the module nothing may be slower than it.
BEFORE ?=
.venv-bench/before-%/src: .venv-bench/ready
	mkdir -p $(@D)
	git archive $* src | tar -x -C $(@D)
	touch $@
BENCH_BEFORE = $(if $(BEFORE),.venv-bench/before-$(BEFORE)/src)

bench: .venv-bench/ready $(BENCH_BEFORE)
	$(BENCH) benchmarks/run.py --sqlite-python '$(SQLITE_PYTHON)' --before '$(abspath $(BENCH_BEFORE))'
	$(BENCH) benchmarks/waking.py
	$(BENCH) benchmarks/gate.py
	$(BENCH_SERVERS) benchmarks/servers.py --results benchmarks/results/servers.json
	$(BENCH) benchmarks/large_arrays.py
	$(BENCH) benchmarks/values.py
	$(BENCH) benchmarks/values_sets.py
	$(BENCH_SERVERS) benchmarks/servers_redis.py
	$(BENCH) benchmarks/report.py

# The same rows as `bench`, from small stores: within two minutes. CLOCK=processor: on a busy machine.
CLOCK ?= wall
bench-quick: .venv-bench/ready $(BENCH_BEFORE)
	$(BENCH) benchmarks/run.py --sqlite-python '$(SQLITE_PYTHON)' --before '$(abspath $(BENCH_BEFORE))' \
		--quick --clock $(CLOCK) --results .venv-bench/quick.json

# Up to ten million keys, with the page cache warm and cold: an hour and 20 GB of disk.
bench-growth: .venv-bench/ready
	$(BENCH) benchmarks/growth.py
	$(BENCH) benchmarks/report.py

# Bounded caches, beside diskcache and cachetools. TRACES=FILE: the source distribution of libcachesim, for real traces.
TRACES ?=
bench-evicting: .venv-bench/ready
	$(BENCH) benchmarks/evicting.py --traces '$(TRACES)'
	$(BENCH) benchmarks/report.py

clean:
	rm -rf $(VENV) .venv-* build dist
