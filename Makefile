# The commands of the README.
TARGET ?= all
CORES ?= all
ENVS := workflow data ml gguf
BIN = $(or $(shell python3 envs/build.py $(1)),$(error the environment $(1) cannot be built, see above))/bin

.PHONY: build envs test test-unit test-slow lint lock unpack figures clean

build: envs
	@"$(call BIN,workflow)/snakemake" --cores $(CORES) $(TARGET)

envs:
	@python3 envs/build.py $(ENVS) > /dev/null

test: envs
	@"$(call BIN,dev)/python" -m pytest -m "not slow"

test-unit:
	@"$(call BIN,dev)/python" -m pytest -m "not slow and not graph"

test-slow: envs
	@"$(call BIN,dev)/python" -m pytest -m slow

lint:
	@"$(call BIN,dev)/ruff" check . && "$(call BIN,dev)/ruff" format --check .
	@"$(call BIN,dev)/snakefmt" --check Snakefile rules
	@"$(call BIN,dev)/mypy"

# Resolves envs/*.in again into envs/*.lock.
lock:
	@bash envs/lock.sh

# Unpacks FILE beside itself, and refuses it if size or digest are not the promised ones.
unpack:
	@PYTHONPATH=workflow_scripts "$(call BIN,data)/python" -m unpack "$(FILE)"

# The figures that the docs show, from the build in results/.
figures:
	@sed 's/^# Model card: .*/# What the tiny preset measures/' results/release/MODEL_CARD.md > docs/tiny.md

clean:
	rm -rf results logs .snakemake
