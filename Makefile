# The two commands a newcomer needs are `make study` and `make test`; what they run underneath is in the README.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: study test test-all lint wheel lock clean
.PHONY: reproduce-cifar10-small reproduce-cifar10-cpu reproduce-cifar10 reproduce-paper reproduce-accuracy reproduce-accuracy-cpu

study: $(STAMP)
	$(BIN)/python -m study.run

test: $(STAMP)
	$(BIN)/python -m pytest -m "not slow" -n 2 --durations 40 --dist loadfile --no-loadscope-reorder

test-all: $(STAMP)
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: $(STAMP)
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

# DATA names the archive of CIFAR-10; under an hour on two cores.
reproduce-cifar10-small: $(STAMP)
	$(BIN)/python -m study.run --preset cifar10-small --data $(or $(DATA),cifar10)

# The backbone at full width on two cores, from the float network that a GPU trained on DATA, the archive of JPEGs; ends
# after 90 minutes, called again it goes on. On a processor with AVX512-BF16 or AMX,
# SET='--set pretrain.precision=bfloat16 --set qat.precision=bfloat16' trains faster.
reproduce-cifar10-cpu: FLOAT = --data $(DATA) --weights docs/results/models/full_width/float.safetensors
reproduce-cifar10-cpu: $(STAMP)
	@test -n '$(DATA)' || (echo 'error: expected the images the float network was trained on, got none; call with DATA=cifar10-jpeg.tar.xz' >&2; exit 2)
	timeout --signal INT 90m sh -c '$(BIN)/python -m study.run --preset cifar10-cpu $(FLOAT) $(SET) && \
	  $(BIN)/python -m study.refine runs/cifar10-cpu $(FLOAT) --members 3 && \
	  $(BIN)/python -m benchmarks.paper_space runs/cifar10-cpu $(FLOAT) --csv runs/cifar10-cpu/paper_space.csv && \
	  $(BIN)/python -m benchmarks.refined_parts runs/cifar10-cpu $(FLOAT) --bits 4 6 --json runs/cifar10-cpu/refined_parts.json && \
	  $(BIN)/python -m benchmarks.chips runs/cifar10-cpu --workers 2 --csv runs/cifar10-cpu/chips.csv'

# The full space at full width, its front refined with three seeds; wants a GPU. Called again, it goes on.
reproduce-cifar10: $(STAMP)
	$(BIN)/python -m study.run --preset cifar10 --data $(or $(DATA),cifar10) --device cuda
	$(BIN)/python -m study.refine runs/cifar10 --data $(or $(DATA),cifar10)

# The space of arXiv 2512.04705, the same.
reproduce-paper: $(STAMP)
	$(BIN)/python -m study.run --preset paper --data $(or $(DATA),cifar10) --device cuda
	$(BIN)/python -m study.refine runs/paper --data $(or $(DATA),cifar10)

# Accuracy at full width, float and at 8/8 and 4/4 bit; wants a GPU, for five minutes.
reproduce-accuracy: $(STAMP)
	$(BIN)/python -m benchmarks.accuracy --preset cifar10 --data $(or $(DATA),cifar10) --device cuda \
	  --set 'space.exit_heads=["fc"]' --set 'space.final_heads=["fc"]' --set qat.epochs=5.0 --set qat.learning_rate=0.02 --json accuracy.json

# The same on a quarter-width backbone; ends after 90 minutes at the latest, called again it goes on.
reproduce-accuracy-cpu: $(STAMP)
	timeout 90m $(BIN)/python -m benchmarks.accuracy --preset cifar10-small --data $(or $(DATA),cifar10) --device cpu \
	  --set pretrain.epochs=16 --set pretrain.full_size_from=0.6 --set pretrain.threads=1 --set qat.epochs=2.0 \
	  --set pretrain.final_learning_rate=0 --set pretrain.label_smoothing=0.05 --set pretrain.exit_weight=1 \
	  --set pretrain.distillation_weight=0.3 --set augment.crop_padding=4 --json accuracy-cpu.json

# Exact versions of everything that is installed, without the local suffix (+cpu) that no registry has.
lock: $(STAMP)
	$(BIN)/python -m pip freeze --all --exclude-editable --exclude offramp --exclude pip \
	  | sed -E 's/\+[A-Za-z0-9.]+$$//' | grep -viE '^(nvidia-|cuda-|triton|wheel==|#)' > requirements.lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.lock -e .
	touch $(STAMP)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
