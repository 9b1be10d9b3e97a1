# make run: environment and main job. make test: environment and every check. make docs: the site in _docs.
# By hand only: make test-everywhere, the checks as other processors would run them; make mutate, how many of 300 small faults the checks notice (an hour or more); make bench-check, what users call beside kept timings.
PYTHON ?= python3.11
BIN := .venv/bin
export MPLBACKEND := agg
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test test-everywhere bench-check mutate docs clean
run: .venv/ready
	$(BIN)/multiindex learn --target "h4(z1)+h4(z2)" --d 100 --n-per-d 200 --loss mse huber --out results

test: .venv/ready
	$(BIN)/ruff check --quiet
	$(BIN)/python tools/in_step.py
	$(BIN)/python tools/readme.py --check
	OMP_NUM_THREADS=1 LOKY_MAX_CPU_COUNT=1 $(BIN)/python -m pytest -n 2

test-everywhere: .venv/ready
	$(BIN)/python tools/everywhere.py

bench-check: .venv/ready
	$(BIN)/python tools/bench_check.py

mutate: .venv/ready
	$(BIN)/python tools/mutate.py

.venv/ready: requirements.lock setup.py settings.ini
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

docs: .venv/ready
	$(BIN)/python tools/build_site.py

clean:
	rm -rf .venv results _proc _docs .cache
