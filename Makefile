# Two commands for newcomers: `make demo` and `make test`. Every target sets up what it needs and may be run again at any time.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test check bench bench-mcmc bench-real curves pretrain wheel clean

demo: .venv/installed  ## extrapolate a real curve: a table and demo.png
	$(BIN)/lcx predict examples/digits_accuracy.csv --upto 30 --horizon 100 --mode max --lower 0 --upper 1 --best 0.93 --plot demo.png

test: .venv/installed-dev check  ## style, types, tests
	$(BIN)/pytest

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: .venv/installed-dev  ## every figure of benchmarks/README.md, about 15 minutes on two idle cores
	$(BIN)/pip install -q --no-deps lcpfn==0.1.3
	$(BIN)/python benchmarks/log_score.py
	$(BIN)/python benchmarks/general.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/tables.py

bench-real: .venv/installed-dev  ## lcx and its rivals on real curves: make bench-real DATA=folder (see benchmarks/real_data.py)
	$(BIN)/python benchmarks/prior_fit.py --data $(DATA)
	$(BIN)/python benchmarks/real_curves.py --data $(DATA) --methods all --model general parametric --pictures
	$(BIN)/python benchmarks/tables.py

bench-mcmc: .venv/installed-dev  ## the PFN against MCMC, hours on two cores, interruptible (see benchmarks/pfn_vs_mcmc.py)
	$(BIN)/python benchmarks/pfn_vs_mcmc.py --curves 200 --methods gold
	$(BIN)/python benchmarks/pfn_vs_mcmc.py --methods smc emcee-M1 emcee-M2 emcee-M3 smc-64 smc-128 smc-256 smc-512 smc-1024
	$(BIN)/python benchmarks/pfn_vs_mcmc.py --curves 8 --cutoffs 20 --methods nuts
	$(BIN)/python benchmarks/gold_check.py
	$(BIN)/python benchmarks/sbc.py
	$(BIN)/python benchmarks/mcmc_speed.py
	$(BIN)/python benchmarks/mcmc_pictures.py
	$(BIN)/python benchmarks/tables.py

curves: .venv/installed-dev  ## measure the example curves again
	$(BIN)/python examples/make_curves.py

pretrain: .venv/installed  ## train the shipped model again (see models/parametric/README.md), interruptible
	$(BIN)/python scripts/pretrain.py --folder runs/parametric $(ARGS)

wheel: .venv/installed-dev
	$(BIN)/pip wheel -q --no-deps -w dist .

clean:
	rm -rf .venv dist demo.png

# The repository pins torch (.ci/constraints.txt); users of the package may have any torch >= 2.6.
.venv/installed: pyproject.toml .ci/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c .ci/constraints.txt torch
	$(BIN)/pip install -q -c .ci/constraints.txt -e '.[plot]'
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install -q -c .ci/constraints.txt -e '.[dev]'
	touch $@
