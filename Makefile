# The commands of the README.
TARGET ?= all
CORES ?= all
ENVS := workflow data ml gguf
BIN = $(shell python3 envs/build.py $(1))/bin

.PHONY: build envs test test-unit lint lock clean

build: envs
	@$(call BIN,workflow)/snakemake --cores $(CORES) $(TARGET)

envs:
	@python3 envs/build.py $(ENVS) > /dev/null

test: envs
	@$(call BIN,dev)/python -m pytest tests

test-unit:
	@$(call BIN,dev)/python -m pytest tests --ignore tests/micro

lint:
	@$(call BIN,dev)/ruff check . && $(call BIN,dev)/ruff format --check .
	@$(call BIN,dev)/snakefmt --check Snakefile rules
	@$(call BIN,dev)/mypy

lock:
	@bash envs/lock.sh

clean:
	rm -rf results logs .snakemake
