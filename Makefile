# minitfm: one virtual environment, one pinned resolve. `make` lists the targets.
PYTHON   ?= python3
# Extra words for pip. On Linux a plain install brings torch with CUDA; for the smaller CPU build:
#   make book PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
VENV     := .venv
BIN      := $(VENV)/bin
STAMP    := $(VENV)/.installed
SITE     := _build/html
JOBS     ?= 2
WITH     ?= colab

.DEFAULT_GOAL := help
.PHONY: help book offline test slow environment lint lab notebooks constraints serve clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  make \1\t/' | expand -t 22

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("minitfm needs Python 3.11 or newer; $(PYTHON) is %d.%d. Install a newer one, or name it: make book PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt setuptools
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

book: $(STAMP)  ## build the website into _build/html
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "The site is in $(SITE). To read it, run: make serve   and open http://localhost:8000"

offline: book  ## put the website into one zip file, to be read without a network
	cd $(SITE) && rm -f ../minitfm-site.zip && $(CURDIR)/$(BIN)/python -m zipfile -c ../minitfm-site.zip *
	@echo "The site is in _build/minitfm-site.zip. Unpack it, and there: python -m http.server"

serve: book  ## build the website and serve it on http://localhost:8000
	$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory $(SITE)

test: $(STAMP)  ## run the tests: unit, parity, property, notebook, site
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow"

slow: $(STAMP)  ## run the tests that take minutes each, which `make test` leaves out
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m slow

environment:  ## run the notebooks with other versions: WITH=colab or WITH=oldest
	$(PYTHON) -m venv .venv-$(WITH)
	.venv-$(WITH)/bin/python -m pip install --quiet $(PIP_ARGS) --constraint tests/environments/$(WITH).txt '.[text]' nbval pytest ipykernel
	rm -rf .venv-$(WITH)/notebooks
	cp -r notebooks .venv-$(WITH)/notebooks
	cd .venv-$(WITH)/notebooks && OMP_NUM_THREADS=1 ../bin/python -m pytest -q -c /dev/null --rootdir . -p no:cacheprovider --nbval --nbval-current-env --nbval-cell-timeout 600 --nbval-sanitize-with $(CURDIR)/tests/sanitize.cfg

lint: $(STAMP)  ## ruff, import-linter, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

lab: $(STAMP)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: $(STAMP)  ## re-execute and normalise the notebooks in place (ONLY="09_transformer" for some)
	$(BIN)/python tests/tools/run_notebooks.py $(ONLY)

constraints: pyproject.toml  ## resolve the newest versions afresh and write constraints.txt
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) setuptools
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --no-build-isolation --editable '.[dev,bench]'
	echo '# The exact versions that CI ran with; remade by `make constraints`.' > constraints.txt
	$(BIN)/python -m pip freeze --all --exclude-editable --exclude pip | sed 's/+[a-z0-9]*$$//' >> constraints.txt
	touch $(STAMP)

clean:  ## remove the virtual environment and everything built
	rm -rf $(VENV) _build build dist *.egg-info
