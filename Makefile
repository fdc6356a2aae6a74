# The commands of the README.
TARGET ?= all
STEP ?= balanced
WORKERS ?= 2
CORES ?= all
ENVS := workflow data ml gguf
BIN = $(or $(shell python3 envs/build.py $(1)),$(error the environment $(1) cannot be built, see above))/bin

.PHONY: build envs bench bench-data bench-router preview why dvc.yaml test test-unit test-slow test-slurm lint lock unpack figures clean

build: envs
	@"$(call BIN,workflow)/snakemake" --cores $(CORES) $(if $(PROFILE),--profile $(PROFILE)) $(TARGET)

envs:
	@python3 envs/build.py $(ENVS) > /dev/null

# Per step on the way to TARGET: up to date, restored, or must run, and because of what.
why:
	@"$(call BIN,workflow)/python" -m traced.why $(filter-out all,$(TARGET))

# The records of a step in the browser: STEP=filtered, balanced, filtered.rejected, ...
preview:
	@"$(call BIN,data)/python" -m ingot.tools.preview $(STEP)

# What DVC reads, from the rules and the configuration.
dvc.yaml:
	@"$(call BIN,workflow)/python" -m traced.pipeline

test: envs
	@"$(call BIN,dev)/python" -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not slurm"

test-unit:
	@"$(call BIN,dev)/python" -m pytest -m "not slow and not graph and not slurm"

# Through a real Slurm of one node; skipped, with a word, where Debian's slurm-wlm and munge are missing.
test-slurm: envs
	@"$(call BIN,dev)/python" -m pytest -m slurm

test-slow: envs
	@"$(call BIN,dev)/python" -m pytest -m slow

lint:
	@"$(call BIN,dev)/ruff" check . && "$(call BIN,dev)/ruff" format --check .
	@"$(call BIN,dev)/snakefmt" --check Snakefile rules
	@"$(call BIN,dev)/mypy"

# What the trace layer costs and saves, beside its rivals: docs/bench-traced.md.
bench:
	@"$(call BIN,workflow)/python" bench/bench_traced.py

# How fast and exact the curation is, beside its rivals: docs/bench-data.md. TEXTS are files of real texts, if you like.
bench-data:
	@"$(call BIN,bench)/python" bench/bench_data.py $(TEXTS)

# What the router's features tell on real labels; LABELS are files as bench/bench_router.py says: docs/bench-router.md.
bench-router:
	@"$(call BIN,dev)/python" bench/bench_router.py $(LABELS)

# Resolves envs/*.in again into envs/*.lock.
lock:
	@bash envs/lock.sh

# Unpacks FILE beside itself, and refuses it if size or digest are not the promised ones.
unpack:
	@"$(call BIN,data)/python" -m ingot.tools.unpack "$(FILE)"

# The figures that the docs show, from the build in results/.
figures:
	@sed 's/^# Model card: .*/# What the tiny preset measures/' results/release/MODEL_CARD.md > docs/tiny.md
	@python3 bench/step_times.py >> docs/tiny.md

clean:
	rm -rf results logs .snakemake
