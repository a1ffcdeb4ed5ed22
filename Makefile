# `make demo` and `make test` each set everything up by themselves, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= outputs/prompt_pins
LISTS := dev webui gradio3 gradio4 docs release

# $(call fill,FOLDER,LIST): an environment of that list, each file by its hash.  torch is the exception: it comes in one
# build for each kind of machine, under one version, so only the version is fixed; what a build needs besides comes along.
fill = $(PYTHON) -m venv $(1) && $(1)/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements/hashed/$(2).txt
torch = $(1)/bin/python -m pip install --quiet --constraint requirements/$(2).txt torch

.PHONY: demo test test-webui test-gradio3 test-gradio4 test-packages fuzz soak chaos figures check lock audit dist docs clean

demo: $(VENV)/installed
	$(BIN)/prompt-pins pin --config benchmarks/tasks/rival-colours.toml --words --out $(OUT)

test: $(VENV)/installed check docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile
	$(MAKE) --jobs 2 --output-sync=target test-gradio3 test-gradio4 test-packages

# against a stand-in for the WebUI, in the two gradio versions that hosts have
test-webui: test-gradio3 test-gradio4

test-gradio3: .venv-gradio3/installed
	OMP_NUM_THREADS=1 .venv-gradio3/bin/python -m pytest tests/webui

test-gradio4: .venv-gradio4/installed
	OMP_NUM_THREADS=1 .venv-gradio4/bin/python -m pytest tests/webui --deselect tests/webui/test_host_samplers.py \
	  -k "not each_sampler"

# with the versions of packages that a WebUI has
test-packages: .venv-webui/installed
	OMP_NUM_THREADS=1 .venv-webui/bin/python -m pytest tests/prompt tests/space tests/sampling tests/loss tests/search tests/store

# each says what it found as a line to put above a test
fuzz: $(VENV)/installed
	FUZZ_CASES=$(or $(CASES),10000) $(BIN)/python -m pytest tests/fuzz --hypothesis-profile=fuzz

soak: $(VENV)/installed
	$(BIN)/python -m tools.soak

chaos: $(VENV)/installed
	$(BIN)/python -m tools.chaos

# figures of the pages, made again by their commands; a few minutes
figures: $(VENV)/installed
	$(BIN)/python -m tools.figures

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# after a change of a list of pins: the hashes of their files
lock: .venv-release/installed
	for list in $(LISTS); do \
	  grep -v '^torch==' requirements/$$list.txt | .venv-release/bin/uv pip compile - --quiet --no-deps --no-header \
	    --no-annotate --generate-hashes --python-version 3.11.5 --output-file requirements/hashed/$$list.txt || exit 1; \
	done

# asks a database of known faults, so it needs a network; fails also where the database does not know a package
audit: .venv-release/installed
	for list in $(LISTS); do \
	  .venv-release/bin/pip-audit --strict --disable-pip --require-hashes -r requirements/hashed/$$list.txt || exit 1; \
	done

dist: .venv-release/installed
	rm -rf dist
	.venv-release/bin/python -m build --no-isolation --outdir dist
	.venv-release/bin/twine check --strict dist/*

# the site of docs/, in site/: strict, and without a word of news about its maker
docs: .venv-docs/installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build

$(VENV)/installed: requirements/hashed/dev.txt pyproject.toml
	$(call fill,$(VENV),dev)
	$(call torch,$(VENV),dev)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv-webui/installed .venv-gradio3/installed .venv-gradio4/installed: .venv-%/installed: requirements/hashed/%.txt
	$(call fill,.venv-$*,$*)
	$(call torch,.venv-$*,$*)
	touch $@

.venv-docs/installed .venv-release/installed: .venv-%/installed: requirements/hashed/%.txt
	$(call fill,.venv-$*,$*)
	touch $@

clean:
	rm -rf $(VENV) .venv-webui .venv-gradio3 .venv-gradio4 .venv-docs .venv-release build dist site outputs
