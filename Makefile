# `make demo` and `make test` each set everything up by themselves, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= outputs/prompt_pins

.PHONY: demo test test-webui fuzz soak chaos check clean

demo: $(VENV)/installed
	$(BIN)/prompt-pins pin --config benchmarks/tasks/rival-colours.toml --words --out $(OUT)

test: $(VENV)/installed .venv-webui/installed check test-webui
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile
	.venv-webui/bin/python -m pytest tests/prompt tests/space tests/sampling tests/loss tests/search tests/store

# against a stand-in for the WebUI, in the two gradio versions that hosts have
test-webui: .venv-gradio3/installed .venv-gradio4/installed
	.venv-gradio3/bin/python -m pytest tests/webui
	.venv-gradio4/bin/python -m pytest tests/webui --deselect tests/webui/test_host_samplers.py -k "not each_sampler"

# each says what it found as a line to put above a test
fuzz: $(VENV)/installed
	FUZZ_CASES=$(or $(CASES),10000) $(BIN)/python -m pytest tests/fuzz --hypothesis-profile=fuzz

soak: $(VENV)/installed
	$(BIN)/python -m tools.soak

chaos: $(VENV)/installed
	$(BIN)/python -m tools.chaos

check: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/installed: requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv-webui/installed: requirements/webui.txt
	$(PYTHON) -m venv .venv-webui
	.venv-webui/bin/python -m pip install --quiet --no-deps -r requirements/webui.txt
	touch $@

.venv-gradio%/installed: requirements/gradio%.txt
	$(PYTHON) -m venv .venv-gradio$*
	.venv-gradio$*/bin/python -m pip install --quiet --no-deps -r $<
	touch $@

clean:
	rm -rf $(VENV) .venv-webui .venv-gradio3 .venv-gradio4 build outputs
