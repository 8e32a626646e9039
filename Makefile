# Two commands for newcomers: `make demo` and `make test`. Every target sets up what it needs and may be run again at any time.
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test quick style types test-integrations page test-page test-slow test-mutants test-oldest test-wheel test-docs docs bench bench-small bench-speed bench-mcmc bench-real curves pretrain wheel clean

demo: .venv/installed  ## extrapolate a real curve: a table and demo.png
	$(BIN)/lcx predict examples/digits_accuracy.csv --upto 30 --horizon 100 --mode max --lower 0 --upper 1 --best 0.93 --plot demo.png

test: .venv/installed-dev style  ## style, types, tests; types and two processes of tests share the cores
	$(MAKE) --no-print-directory -j2 types quick

test-integrations: .venv-integrations/installed  ## the adapters in real trainings of their frameworks, in an environment of their own
	KERAS_BACKEND=torch .venv-integrations/bin/pytest -m '' tests/integrations
	set -e; for example in examples/integrations/*.py; do echo $$example; KERAS_BACKEND=torch .venv-integrations/bin/python $$example; done

page: lcx/export/page/lcx.html  ## the browser page as one file, lcx/export/page/lcx.html, which wheels built afterwards carry; needs npm

test-page: .venv-page/installed .venv-page/axe.min.js lcx/export/page/lcx.html  ## ONNX against torch, and page and report in headless Chromium (Debian: apt-get install chromium)
	.venv-page/bin/pytest -m '' tests/export

quick: .venv/installed-dev
	OMP_NUM_THREADS=1 env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n 2 --dist worksteal  # compiled tests start in half the time

style: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/installed-dev
	$(BIN)/pyright

test-slow: .venv/installed-dev  ## the tests that take minutes, but for those that other targets here run
	$(BIN)/pytest -m slow --durations=20 $(addprefix --ignore=tests/,test_wheel.py test_docs.py export integrations)

test-mutants: .venv/installed-dev  ## small faults in FOLDER=lcx/stopping, say, that its own tests should notice; interruptible (ARGS="--mutants 40")
	$(BIN)/python benchmarks/faults/mutants.py $(FOLDER) $(ARGS)

test-oldest: .venv-oldest/installed  ## the core on the oldest torch supported
	.venv-oldest/bin/python -c "import torch; assert torch.__version__.startswith('$(OLDEST)'), torch.__version__"
	.venv-oldest/bin/python -m pytest $(CORE)

test-wheel: wheel  ## wheel and sdist in an environment without this repository
	$(BIN)/pytest -m slow tests/test_wheel.py

test-docs: .venv/installed-dev  ## every block of the documentation and of the README prints what it says
	$(BIN)/pytest -m '' tests/test_docs.py tests/test_readme.py

docs: .venv/installed-docs  ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/installed-dev  ## every figure of benchmarks/README.md, about 15 minutes on two idle cores
	$(BIN)/pip install -q --no-deps lcpfn==0.1.3
	$(BIN)/python benchmarks/synthetic/log_score.py
	$(BIN)/python benchmarks/synthetic/general.py
	$(BIN)/python benchmarks/synthetic/calibration.py
	$(BIN)/python benchmarks/speed/speed.py
	$(BIN)/python benchmarks/tables.py

bench-small: .venv/installed-dev  ## the README's figures measured again here, as far as five minutes go; with DATA=folder three more
	$(BIN)/python benchmarks/small.py $(if $(DATA),--data $(DATA))

bench-speed: .venv/installed-dev  ## what a forecast takes, all in, by what is asked, about 10 minutes on two idle cores
	$(BIN)/python benchmarks/speed/forecast.py
	$(BIN)/python benchmarks/tables.py

bench-real: .venv/installed-dev  ## lcx and its rivals on real curves: make bench-real DATA=folder (see benchmarks/curves.py)
	$(BIN)/python benchmarks/synthetic/prior_fit.py --data $(DATA)
	$(BIN)/python -m benchmarks.synthetic.study_fit --data $(DATA)
	$(BIN)/python benchmarks/forecasts/real_curves.py --data $(DATA) --methods all --model general parametric --pictures
	$(BIN)/python benchmarks/tables.py

bench-mcmc: .venv/installed-dev  ## the PFN against MCMC, hours on two cores, interruptible (see benchmarks/mcmc/pfn_vs_mcmc.py)
	$(BIN)/python benchmarks/mcmc/pfn_vs_mcmc.py --curves 200 --methods gold
	$(BIN)/python benchmarks/mcmc/pfn_vs_mcmc.py --methods smc emcee-M1 emcee-M2 emcee-M3 smc-64 smc-128 smc-256 smc-512 smc-1024
	$(BIN)/python benchmarks/mcmc/pfn_vs_mcmc.py --curves 8 --cutoffs 20 --methods nuts
	$(BIN)/python benchmarks/mcmc/gold_check.py
	$(BIN)/python benchmarks/mcmc/sbc.py
	$(BIN)/python benchmarks/mcmc/speed.py
	$(BIN)/python benchmarks/mcmc/pictures.py
	$(BIN)/python benchmarks/tables.py

curves: .venv/installed-dev  ## measure the example curves again
	$(BIN)/python examples/make_curves.py

pretrain: .venv/installed  ## train the shipped model again (see models/parametric/README.md), interruptible
	$(BIN)/python scripts/pretrain.py --folder runs/parametric $(ARGS)

wheel: .venv/installed-dev lcx/export/page/lcx.html  ## dist/: the sdist, then the wheel out of it, the browser page inside; needs npm
	rm -rf dist
	$(BIN)/pip install -q build
	$(BIN)/python -m build .

clean:
	rm -rf .venv .venv-integrations .venv-oldest .venv-page lcx/export/page/lcx.html dist site demo.png

# The repository pins torch (.ci/constraints.txt); users of the package may have any torch >= 2.6.
.venv/installed: pyproject.toml .ci/constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c .ci/constraints.txt torch
	$(BIN)/pip install -q -c .ci/constraints.txt -e '.[plot]'
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install -q -c .ci/constraints.txt -e '.[dev]'
	touch $@

# xgboost-cpu and xgboost are the same import package: never both.
.venv-integrations/installed: pyproject.toml .ci/constraints-integrations.txt
	test -x .venv-integrations/bin/python || $(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/pip install -q -c .ci/constraints-integrations.txt torch
	.venv-integrations/bin/pip install -q -c .ci/constraints-integrations.txt -e '.[dev,ray,lightgbm,lightning,transformers,keras]' \
		xgboost-cpu pytorch-lightning
	touch $@

.venv-page/installed: pyproject.toml .ci/constraints.txt
	test -x .venv-page/bin/python || $(PYTHON) -m venv .venv-page
	.venv-page/bin/pip install -q -c .ci/constraints.txt torch
	.venv-page/bin/pip install -q -c .ci/constraints.txt -e '.[dev,onnx]' 'playwright>=1.50'
	touch $@

AXE := axe-core-4.14.1
.venv-page/axe.min.js: .venv-page/installed
	cd .venv-page && npm pack --silent $(subst core-,core@,$(AXE)) && tar -xzf $(AXE).tgz --strip-components=1 package/axe.min.js
	touch $@

PAGE_SOURCES := $(filter-out %/lcx.html,$(wildcard lcx/export/page/*)) scripts/page.py $(wildcard lcx/export/*.py) $(wildcard lcx/pfn/*.py) $(wildcard models/general/*) lcx/readers/metric_names.json
lcx/export/page/lcx.html: .venv-page/installed $(PAGE_SOURCES)
	.venv-page/bin/python scripts/page.py

.venv/installed-docs: .venv/installed
	$(BIN)/pip install -q -c .ci/constraints.txt -e '.[docs]'
	touch $@

# Of Linux the default index has this torch with CUDA only, 3 GB; PyTorch's own index has it for CPUs: set PIP_EXTRA_INDEX_URL to that.
OLDEST := 2.6.0
CORE := $(addprefix tests/,$(addprefix test_,curves.py extrapolator.py scores.py calibration.py general_model.py gpu.py) \
	predictive priors pfn pretraining/test_muon.py pretraining/test_loop.py stopping report)
.venv-oldest/installed: pyproject.toml
	test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/pip install -q torch==$(OLDEST) -e '.[dev]'
	touch $@
