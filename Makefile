# Two commands are all a newcomer needs: `make demo` and `make test`. Each creates .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Spinning worker threads of an idle OpenMP pool steal the cores from everybody else.
export OMP_WAIT_POLICY := PASSIVE

# By file, for what a file makes once; as they were collected: the slow ones first (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
QUICK := $(addprefix tests/,laws golden properties deltas editors sites evaluation test_house_budget.py test_recipes.py \
	test_public_api.py test_edited_model.py cli/test_ls.py cli/test_try.py cli/test_eval.py cli/test_explain.py)

.PHONY: demo test quick check docs bench results clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@# torch alone and pinned: asked for together with the rest, a resolver may pick a build with gigabytes of CUDA.
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	@touch $(READY)

demo: $(READY)  ## the main job on the embedded world, offline
	$(BIN)/polypatch demo --out runs/demo

test: $(READY)  ## everything but the benchmarks
	$(PYTEST)

quick: $(READY)  ## a minute: the laws on one family, golden numbers, properties, a few commands
	$(PYTEST) -m 'not slow and not real' $(QUICK) --deselect tests/properties/test_instruction_sets.py::test_on_another_processor

check: $(READY)  ## style, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The theme says of itself that it has a successor; that is no warning about these pages.
docs: $(READY)  ## the documentation as a site, in site/: offline, every warning an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY)  ## speed and memory, as ratios
	$(BIN)/python benchmarks/tail.py --out benchmarks/results/tail.json
	$(BIN)/python benchmarks/serving.py --out benchmarks/results/serving.json
	$(BIN)/python benchmarks/service.py --out benchmarks/results/service.json
	$(BIN)/python benchmarks/artefact.py --out benchmarks/results/artefact.json
	$(BIN)/python benchmarks/query_cache.py --out benchmarks/results/query_cache.json
	$(BIN)/python benchmarks/encoding.py --out benchmarks/results/encoding.json
	$(BIN)/python benchmarks/own_recipe.py --out benchmarks/results/own_recipe.json
	$(BIN)/python benchmarks/ray_grid.py --out benchmarks/results/ray_grid.json

SHARED ?= ../shared
results: $(READY)  ## the tables of docs/tables (hours; SHARED= the folder with MASSIVE, XNLI and the checkpoint)
	$(BIN)/polypatch reproduce table1 --jobs 2
	$(BIN)/polypatch reproduce table3 --jobs 2
	$(BIN)/polypatch reproduce massive --jobs 2 --model $(SHARED)/models/mini-mbert-massive --data massive:$(SHARED)/data/massive
	$(BIN)/polypatch reproduce table2 --jobs 2 --model $(SHARED)/models/mini-mbert-massive --data xnli:$(SHARED)/data/xnli
	for name in compare editors ablations mpn-ablations; do $(BIN)/polypatch reproduce $$name --jobs 2 || exit 1; done
	for name in compare editors corpus ablations; do $(BIN)/polypatch reproduce $$name --jobs 2 --out runs/reproduce/$$name-massive \
		--model $(SHARED)/models/mini-mbert-massive --data massive:$(SHARED)/data/massive || exit 1; done
	$(BIN)/polypatch reproduce growth --model $(SHARED)/models/mini-mbert-massive --data massive-all:$(SHARED)/data/massive

clean:
	rm -rf $(VENV) runs site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
