# Two commands do everything: `make sweep` and `make test`. The environment is made on first use, from locked requirements.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
CORES ?= $(shell $(PYTHON) -c 'import os; print(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())')
TORCH ?= requirements/torch.txt
ARGS ?=
# Processes that share the tests; a study in a test takes two cores itself, but not all of the time.
WORKERS ?= 2
# A live panel on a terminal, plain lines in a file or a pipe.
SHOW := --logger w2sg
BIN := .venv/bin

.PHONY: help sweep theory test check docs readme format lock wheel image clean slurm-test kubernetes-test fault-test types-test conda-test conda-lock audit

help:
	@echo 'make sweep   pre-train the miniature suite, sweep it, write its report'
	@echo 'make theory  run the synthetic branch, write its report'
	@echo 'make test    run the whole test suite'
	@echo 'make slurm-test  install and start a single-node Slurm (Debian, root), run the tests on it'
	@echo 'make kubernetes-test  run the Kubernetes profile against a pretended cluster and a bucket on this machine'
	@echo 'make fault-test  kill a study at 32 random moments, fill disks, change clocks; write the table of docs/reliability.md'
	@echo 'make types-test  try every causal model type of the installed transformers, tiny and random'
	@echo 'make conda-test  run the small study with --use-conda (conda if there is one, else a stand-in and a local channel)'
	@echo 'make conda-lock  pin envs/*.yaml for linux-64 and osx-arm64; needs the conda-forge channel'
	@echo 'make audit   look for known vulnerabilities of the locked packages; needs the network'
	@echo 'make check   lint and types'
	@echo 'make docs    build the documentation site, build/site/index.html'
	@echo 'make readme  take over the result of a finished embedded study into README and docs/results'
	@echo 'make wheel   build the package and try it in an empty environment; needs a package index'
	@echo 'make image   build the container image w2sg:local; needs Docker. Apptainer: apptainer build w2sg.sif w2sg.def'
	@echo 'make format  format code and rules'
	@echo 'make lock    resolve the dependencies in pyproject.toml and renew requirements/*.lock'
	@echo 'make clean   remove what killed runs left behind; results stay'

sweep: .venv/bin/w2sg
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake show --cores $(CORES) $(ARGS) $(SHOW)

theory: .venv/bin/w2sg
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake theory --cores $(CORES) $(ARGS) $(SHOW)

test: .venv/test.stamp
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

slurm-test: .venv/test.stamp .venv/slurm.stamp
	@command -v slurmctld >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge; }
	@SLURM_TEST=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/slurm -rP --durations 0 $(ARGS)

kubernetes-test: .venv/test.stamp .venv/kubernetes-test.stamp
	@KUBERNETES_TEST=1 PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/kubernetes --durations 0 $(ARGS)

fault-test: .venv/test.stamp
	@rm -f docs/faults.jsonl
	@FAULT_KILLS=32 FAULT_RECORD="$(CURDIR)/docs/faults.jsonl" PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest \
	  tests/dag/test_kills.py tests/dag/test_storage.py tests/repo/test_writers.py tests/unit/revisions/test_download.py $(ARGS)
	@$(BIN)/python -m tests.faults

types-test: .venv/test.stamp
	@TYPES_TEST=1 $(BIN)/python -m pytest tests/unit/activations/test_types.py $(ARGS)

conda-test: .venv/test.stamp .venv/tools/conda.stamp
	@CONDA_TEST="$(CURDIR)/.venv/tools/conda/bin/python" PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/conda -rP --durations 0 $(ARGS)

# Another place of the channels, such as a mirror or a folder: make conda-lock ARGS="--base https://mirror.example/conda"
conda-lock: .venv/tools/conda.stamp
	@.venv/tools/conda/bin/python envs/lock.py $(ARGS)

# The versions that are locked, not those that happen to be installed; nothing is installed but the auditor itself.
audit: .venv/tools/audit.stamp
	@for lock in requirements/*.lock requirements/torch.txt; do \
	  .venv/tools/audit/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off -r $$lock $(ARGS) || exit 1; \
	done

check: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/pyright
	$(BIN)/codespell

docs: .venv/test.stamp
	@rm -rf build/site
	@$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --fresh-env -c docs/site -d build/doctrees . build/site
	@echo 'site: $(CURDIR)/build/site/index.html'

readme: .venv/run.stamp
	@$(BIN)/python -m w2sg.report.readme

format: .venv/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow

# Whatever version is found, an older one than 3.11 fails here and not somewhere inside.
.venv/pip.stamp: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, found " + sys.version.split()[0] + "; try make PYTHON=python3.12")'
	@echo 'making the environment in .venv (once; about a minute and 2.2 GB, 2.8 with the tests)'
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements/uv.txt
	@touch $@

# torch comes first and without its dependencies, which the lock lists: its CPU and CUDA builds have the same version.
.venv/torch.stamp: $(TORCH) .venv/pip.stamp
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r $(TORCH)
	@touch $@

.venv/%.stamp: requirements/%.lock .venv/torch.stamp
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes --compile-bytecode -r $<
	@touch $@

# The command w2sg; the path file leads Snakemake to its panel.
.venv/bin/w2sg: .venv/run.stamp
	@echo ../../../.. > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/w2sg.pth"
	@printf '#!/bin/sh\nexec "$$(dirname "$$0")/python" -m w2sg.command "$$@"\n' > $@
	@chmod +x $@

# Tools that must not share the workflow's environment, each in its own below .venv/tools.
.venv/tools/%.stamp: requirements/%.lock .venv/pip.stamp
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv/tools/$*
	@$(BIN)/uv pip install --quiet --python .venv/tools/$*/bin/python --no-deps --require-hashes -r $<
	@touch $@

# Locked versions stay: make lock ARGS=--upgrade takes the newest, ARGS='--upgrade-package NAME' those of one package.
LOCK = $(BIN)/uv pip compile --quiet --config-file requirements/lock.toml --universal --python-version 3.11 --generate-hashes \
  --no-annotate --custom-compile-command 'make lock' --no-emit-package torch $(ARGS) -o requirements/$(1).lock
BESIDE_RUN = pyproject.toml -c requirements/run.lock --extra

lock: .venv/pip.stamp
	@$(call LOCK,run) pyproject.toml --extra run
	@$(call LOCK,test) $(BESIDE_RUN) test
	@$(call LOCK,bench) $(BESIDE_RUN) bench
	@$(call LOCK,slurm) $(BESIDE_RUN) slurm
	@$(call LOCK,kubernetes) $(BESIDE_RUN) kubernetes
	@$(call LOCK,kubernetes-test) $(BESIDE_RUN) kubernetes -c requirements/kubernetes.lock --extra test -c requirements/test.lock \
	  --group kubernetes-test
	@$(call LOCK,conda) --group conda
	@$(call LOCK,audit) --group audit

# In an empty environment, with the newest versions of what the package's core needs; used from another folder.
wheel: .venv/pip.stamp
	@rm -rf build/wheel
	@$(BIN)/uv build --quiet --wheel --out-dir build/wheel
	@$(BIN)/uv venv --quiet --python $(BIN)/python build/wheel/venv
	@$(BIN)/uv pip install --quiet --python build/wheel/venv/bin/python build/wheel/*.whl
	@cd build/wheel && venv/bin/python -c 'from w2sg.theory.model import closed_forms'
	@echo 'wheel:' build/wheel/*.whl

# make image TORCH_INDEX=https://download.pytorch.org/whl/cpu takes torch without CUDA.
image:
	docker build --tag w2sg:local --build-arg TORCH_INDEX=$(TORCH_INDEX) .

clean: .venv/run.stamp
	@$(BIN)/snakemake --unlock --quiet
	@$(BIN)/snakemake --delete-temp-output --quiet
	@find results resources logs -name '.*.tmp' -prune -exec rm -rf {} + 2>/dev/null || true
