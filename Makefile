# Two virtual environments: .venv holds the base install (no torch) and proves that it is enough
# for the demo; .venv-dev holds everything, for tests, checks and training.

PYTHON ?= python3
PYTEST_ARGS ?= -n 2
CAPTIONS ?= ../shared/data/captions
STARTER_RUN ?= runs/starter
SEED ?= 0
SCENES ?= ../shared/data/scenes
BASE := .venv
DEV := .venv-dev
PIP_FLAGS := --disable-pip-version-check --quiet
SOURCES := $(shell find georclip -type f -not -name '*.pyc' 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench train-starter release-starter clean

# UCM's few pictures are named twice in training, so that RSICD's many do not drown them.
STARTER_SETTINGS = --from-scratch --imagenet --freeze 4 --ground-size 75,400,2000 --epochs 10 \
	--image-size 160 --view-sizes 96,112,128 --smallest-crop 0.4 --precision bf16 --licence "research use: learnt from RSICD and UCM captions over \
AID and UC Merced imagery, starting from ImageNet (LICENSE-WEIGHTS.md)"
CAPTION_FILES = $(CAPTIONS)/rsicd/dataset_rsicd.json $(CAPTIONS)/ucm/dataset_ucm.json \
	--images $(CAPTIONS)/rsicd/images --images $(CAPTIONS)/ucm/images

help:  ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

demo: $(BASE)/.installed  ## draw a scene, index it, ask it three questions (base install, no torch)
	$(BASE)/bin/python examples/demo.py

test: $(DEV)/.installed  ## install everything, torch included, and run the test suite
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest $(PYTEST_ARGS)

check: $(DEV)/.installed  ## lint, format, types, import layers
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

format: $(DEV)/.installed  ## rewrite the code in the project's format
	$(DEV)/bin/ruff check --fix .
	$(DEV)/bin/ruff format .

bench: $(DEV)/.installed  ## measure start-up, memory, reading, indexing, search, the starter, losses and towers (CAPTIONS=DIR), real scenes (SCENES=DIR)
	$(DEV)/bin/python -m tests.benchmarks.start
	$(DEV)/bin/python -m tests.benchmarks.memory
	$(DEV)/bin/python -m tests.benchmarks.cold
	$(DEV)/bin/python -m tests.benchmarks.reading --threads 1,2
	$(DEV)/bin/python -m tests.benchmarks.overviews
	$(DEV)/bin/python -m tests.benchmarks.indexing
	$(DEV)/bin/python -m tests.benchmarks.scale
	$(DEV)/bin/python -m tests.benchmarks.background
	$(DEV)/bin/python -m tests.benchmarks.embedded_pictures $(CAPTIONS) -o runs/scale/embedded.npz
	$(DEV)/bin/python -m tests.benchmarks.scale --embedded runs/scale/embedded.npz
	$(DEV)/bin/python -m tests.benchmarks.growth
	$(DEV)/bin/python -m tests.benchmarks.starter $(CAPTIONS)
	$(DEV)/bin/python -m tests.benchmarks.in_scene $(CAPTIONS)
	$(DEV)/bin/python -m tests.benchmarks.confidence $(CAPTIONS) --scenes $(SCENES)
	$(DEV)/bin/python -m tests.benchmarks.nothing_shown $(CAPTIONS) --scenes $(SCENES)
	$(DEV)/bin/python -m tests.benchmarks.questions $(CAPTIONS)
	$(DEV)/bin/python -m tests.benchmarks.objects $(CAPTIONS)
	$(DEV)/bin/python -m tests.benchmarks.object_cost
	$(DEV)/bin/python -m tests.benchmarks.scales $(CAPTIONS)
	$(DEV)/bin/python -m tests.benchmarks.zoom --captions $(CAPTIONS)
	$(DEV)/bin/python -m tests.benchmarks.collapse $(CAPTIONS)
	$(DEV)/bin/python -m tests.benchmarks.towers $(CAPTIONS)
	$(DEV)/bin/python -m tests.benchmarks.real_scenes $(SCENES)
	$(DEV)/bin/python -m tests.benchmarks.changes $(CAPTIONS) --scenes $(SCENES)

train-starter: $(DEV)/.installed  ## train the model in the box again from CAPTIONS=DIR (SEED=0; an hour; resumes, or replaces)
	mkdir -p $(STARTER_RUN)
	$(DEV)/bin/georclip train $(CAPTION_FILES) \
		$(CAPTIONS)/ucm/dataset_ucm.json --images $(CAPTIONS)/ucm/images \
		-o $(STARTER_RUN)/seed$(SEED).safetensors --seed $(SEED) $(STARTER_SETTINGS) \
		$(if $(wildcard $(STARTER_RUN)/seed$(SEED).checkpoint.pt),--resume,--overwrite)

release-starter: $(DEV)/.installed  ## put the trained model into the package (SEED=0), with figures of all seeds
	$(DEV)/bin/python -m georclip.training.release $(STARTER_RUN)/seed$(SEED).safetensors \
		georclip/encoders/starter $(CAPTION_FILES) \
		$(patsubst %,--also %,$(filter-out %/seed$(SEED).safetensors,$(wildcard $(STARTER_RUN)/seed?.safetensors)))

clean:  ## remove virtual environments, caches and the demo's output
	rm -rf $(BASE) $(DEV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The package is installed as a user gets it, from a wheel: anything missing in it shows here.
$(BASE)/.installed: pyproject.toml $(SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "georclip needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ...")'
	@test -x $(BASE)/bin/pip || $(PYTHON) -m venv $(BASE)
	@echo "Installing georclip into $(BASE) (no torch; the first time takes about a minute)"
	$(BASE)/bin/python -m pip install $(PIP_FLAGS) .
	@touch $@

# torch and torchvision are resolved in one call, so that their builds belong together.
$(DEV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "georclip needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ...")'
	@test -x $(DEV)/bin/pip || $(PYTHON) -m venv $(DEV)
	@echo "Installing georclip, torch and the development tools into $(DEV) (several GB: minutes)"
	$(DEV)/bin/python -m pip install $(PIP_FLAGS) --editable '.[dev]'
	@touch $@
