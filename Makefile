# Everything that a person does with Tollgate. Needs Python 3.11-3.13, git and make; the rest installs itself.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PYTEST := $(BIN)/python -m pytest -q -rs -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo ui test fault lint bench contract clean lock help

help: ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: $(READY) ## run the whole graph once; LOG=<csv or csv.gz> takes your own file
	@$(BIN)/tollgate demo $(if $(LOG),--log "$(LOG)")

ui: $(READY) ## Dagster's web UI and daemon, live, with a company that keeps paying
	@$(BIN)/tollgate ui

test: $(READY) ## run every test that this machine can run, but for those of `make fault`
	@$(PYTEST) -m "not fault" $(ARGS)

fault: $(READY) ## kill real processes, at every commit point and at random, and see that nothing is lost
	@$(PYTEST) -m fault $(ARGS)

lint: $(READY) ## ruff and import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

bench: $(READY) ## measure against the baselines, and print the ratios
	@$(BIN)/python -m benchmarks $(ARGS)

contract: $(READY) ## write what dbt takes from the contract in expectations/
	@$(BIN)/python -m orchestration.medallion.contract

lock: ## resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet -o requirements.lock

clean: ## remove the environment and all that was generated
	rm -rf $(VENV) .tollgate .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); sys.exit(None if ok else "Tollgate needs Python 3.11 to 3.13; this is %s. Use: make PYTHON=python3.12 ..." % sys.version.split()[0])'
	@echo "installing the locked dependencies into $(VENV) (once, a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $(READY)
