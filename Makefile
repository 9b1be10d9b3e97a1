# make run: environment and main job. make test: environment and every check. make docs: the site in _docs. make bench: timings, by hand only. make mutate: how many of 300 small faults are noticed, by hand only (an hour or more).
PYTHON ?= python3.11
BIN := .venv/bin
export MPLBACKEND := agg
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: run test bench mutate docs clean
run: .venv/ready
	$(BIN)/multiindex learn --target "h4(z1)+h4(z2)" --d 100 --n-per-d 200 --loss mse huber --out results

test: .venv/ready
	OMP_NUM_THREADS=1 $(BIN)/nbdev_test --n_workers 2 --timing
	$(BIN)/python tools/in_step.py
	$(BIN)/python tools/readme.py --check
	$(BIN)/python -m pytest -n 2 --dist loadfile tests

bench: .venv/ready
	$(BIN)/python -m pytest tests/bench_speed.py

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
