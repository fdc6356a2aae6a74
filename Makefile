# The commands of the README. `make help` shows the lines that begin with ##.
.DEFAULT_GOAL := build

## What `build` makes and `why` explains: a file or a rule
TARGET ?= all
## The preset that `build` builds, such as smollm2-135m, instead of that of config.yaml
PRESET ?=
## How many cores the build uses
CORES ?= all
## A Snakemake profile for the build, such as profiles/slurm
PROFILE ?=
## The records that `preview` shows, such as filtered or filtered.rejected
STEP ?= balanced
## What `unpack` unpacks: a file that ends in .zst
FILE ?=
## The folder that `sign` signs, `verify` checks and `publish` gives away
RELEASE ?= results/release
## The better build for `bisect`: a commit, a dvc.lock, or the folder of another clone
GOOD ?=
## The private key for `sign`, which is made if there is none, or the public key for `verify`
KEY ?=
## The repository for `publish`: OWNER/NAME
REPO ?=
## Where `container` writes
TO ?= results/container
## What else `publish`, `container` and `studio` are told: --dry-run, --space, --edit, and what their --help names
WITH ?=
## The port that `serve` listens on
PORT ?= 8080
## How `plan` and `doctor` write what they found: json for programs
FORMAT ?=
## How many tests `test` runs side by side
WORKERS ?= 3
## Files of real texts for `bench-data`; without any it makes some up
TEXTS ?=
## How many builds `test-soak` kills
KILLS ?= 1000
## How many times `test-soak` damages what a build left
DAMAGES ?= 200
## How many full disks `test-soak` makes
DISKS ?= 20
## Where the chance of `test-soak` begins: another one, other moments
SEED ?= 0
## The minutes after which `test-soak` begins nothing more, or that `soak-serving` takes
MINUTES ?= 300
## Files of labels for `bench-router`, which says how they look
LABELS ?=
## A folder of dialogues for `bench-detector`, which says how they look
DIALOGUES ?=
## A folder with token vectors for `bench-router`, such as results/base
EMBEDDING ?=

ENVS := workflow data ml gguf
BIN = $(or $(shell python3 envs/build.py $(1)),$(error the environment $(1) cannot be built, see above))/bin
PYTHON = "$(call BIN,$(1))/python"
SOAK = PYTHONPATH=.:tests:traced/tests $(call PYTHON,dev)

.PHONY: help build envs why plan frontier doctor hermetic preview unpack sign verify publish container serve chat studio bisect settings dvc.yaml figures pictures test test-unit test-slow test-soak soak-serving test-slurm \
  lint lint-style lint-rules lint-types lint-imports lint-settings lock bench bench-data bench-router bench-detector bench-serving monitoring clean

## Show what make can do here
help:
	@awk ' \
	  /^## / { text = text (text ? " " : "") substr($$0, 4); next } \
	  text && /^[A-Z]+ \?=/ { value = $$0; sub(/^[A-Z]+ \?= */, "", value); \
	    variables = variables sprintf("  %-10s %-10s %s\n", $$1, value, text) } \
	  text && /^[a-z.-]+:/ { split($$0, part, ":"); \
	    targets = targets sprintf("  make %-14s %s\n", part[1], text) } \
	  { text = "" } \
	  END { printf "%s\nVariables, as in make TARGET=results/merged, and what they are without:\n%s", targets, variables }' \
	  Makefile

## Build TARGET; this is what make does without a word after it
build: envs
	@build() { "$(call BIN,workflow)/snakemake" --cores $(CORES) $(if $(PROFILE),--profile $(PROFILE)) "$$@" \
	    $(if $(PRESET),--config preset=$(PRESET)) -- $(TARGET); }; \
	  if [ -t 2 ]; then INGOT_LINE=1 PYTHONPATH=.:ingot/workflow/terminal build --logger line > /dev/null; else build; fi

## Set up the locked environments, once
envs:
	@python3 envs/build.py $(ENVS) > /dev/null

## Say of each step on the way to TARGET whether it would run, and because of what
why:
	@$(call PYTHON,workflow) -m traced.why $(filter-out all,$(TARGET)) $(if $(PRESET),--config preset=$(PRESET))

## Build TARGET anew where each step finds only what its rule declares; this fails where a rule forgets something
hermetic: envs
	@$(call PYTHON,workflow) -m traced.hermetic $(filter-out all,$(TARGET))

## Say what TARGET of PRESET needs, step by step, without running anything: bytes, memory, time, money
plan: envs
	@$(call PYTHON,workflow) -m ingot.cli plan $(filter-out all,$(TARGET)) $(if $(PRESET),--preset "$(PRESET)") \
	  $(if $(PROFILE),--profile "$(PROFILE)") $(if $(filter json,$(FORMAT)),--json)

## Search for the best base within `budget`: GGUF types of several models of the chain, tried and compared
frontier:
	@$(call PYTHON,workflow) -m ingot.tools.frontier check $(PRESET)
	@$(MAKE) --no-print-directory build TARGET="results/frontier/confirmed.json results/frontier/frontier.svg"
	@$(call PYTHON,workflow) -m ingot.tools.frontier

## Say what this machine lacks for PRESET, with PROFILE if there is one, and what to do
doctor:
	@$(call PYTHON,workflow) -m ingot.cli doctor $(if $(PRESET),--preset "$(PRESET)") $(if $(PROFILE),--profile "$(PROFILE)") \
	  $(if $(filter json,$(FORMAT)),--json)

## Show the records of STEP in the browser
preview:
	@$(call PYTHON,data) -m ingot.tools.preview "$(STEP)"

## Unpack FILE beside itself; refuse it if size or digest are not the promised ones
unpack:
	@$(call PYTHON,data) -m ingot.tools.unpack "$(FILE)"

## Write lineage and bill of materials of RELEASE, and sign all of it with KEY
sign:
	@$(call PYTHON,workflow) -m ingot.cli sign "$(RELEASE)" --key "$(or $(KEY),$(error name your private key: make sign KEY=FILE))"

## Check signature (by KEY), digests, lineage and licences of RELEASE
verify:
	@$(call PYTHON,workflow) -m ingot.cli verify "$(RELEASE)" $(if $(KEY),--key "$(KEY)")

## Serve RELEASE on this machine, at PORT, to OpenAI's clients
serve:
	@$(call PYTHON,workflow) -m ingot.cli serve "$(RELEASE)" --port $(PORT)

## Publish RELEASE on a hub as REPO (OWNER/NAME); WITH=--dry-run lists what would go
publish:
	@$(call PYTHON,workflow) -m ingot.cli publish "$(or $(REPO),$(error name the repository: make publish REPO=OWNER/NAME))" \
	  "$(RELEASE)" $(WITH)

## Write into TO what a container of RELEASE is made from; WITH=--space: a Space, which shows a chat page
container:
	@$(call PYTHON,workflow) -m ingot.cli container "$(TO)" "$(RELEASE)" $(WITH)

## Talk to RELEASE in the browser; conversations are kept in chats/
chat:
	@$(call PYTHON,workflow) -m ingot.cli chat "$(RELEASE)"

## See the build of TARGET in the browser, as it runs; WITH=--edit lets the page change config.yaml
studio:
	@$(call PYTHON,workflow) -m ingot.cli studio $(filter-out all,$(TARGET)) $(if $(PRESET),--preset "$(PRESET)") $(WITH)

## Find what lost the points since the build GOOD: the step, setting, record file or package
bisect:
	@$(call PYTHON,workflow) -m ingot.cli bisect "$(or $(GOOD),$(error name the better build: make bisect GOOD=COMMIT))"

## Write docs/settings.md and presets/settings.schema.json from ingot/settings and presets/defaults.yaml
settings:
	@$(call PYTHON,workflow) -m ingot.tools.document_settings

## Write dvc.yaml and params.json, which DVC reads, from the rules and the configuration
dvc.yaml:
	@$(call PYTHON,workflow) -m traced.pipeline

## Write what the docs show of a build: the page of its preset, and docs/pictures
figures:
	@$(call PYTHON,data) -m ingot.tools.figures

## Write pictures of the chat page and the studio for the docs, from the build of PRESET here
pictures:
	@$(call PYTHON,browser) -m ingot.tools.pictures "$(PRESET)"

## Run all tests, but for those of test-slow and test-slurm
test: envs
	@$(call PYTHON,dev) -m pytest -n $(WORKERS) --dist load -m "not slow and not slurm"

## Run the tests that take seconds
test-unit:
	@$(call PYTHON,dev) -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not graph and not slurm"

## Run the tests that build environments of their own or further chains, or repeat for long
test-slow: envs
	@$(call PYTHON,dev) -m pytest -m slow

## Kill and damage builds KILLS and DAMAGES times, fill DISKS disks, and write docs/soak.md: takes an hour or more
test-soak: envs
	@$(SOAK) tests/soak/soak.py --kills $(KILLS) --damages $(DAMAGES) --disks $(DISKS) --minutes $(MINUTES) --seed $(SEED)

## Ask a server of RELEASE for MINUTES, with clients that leave and requests that are wrong; write docs/soak-serving.md
soak-serving: envs
	@$(SOAK) tests/soak/soak_serving.py "$(RELEASE)" --minutes $(MINUTES)

## Run the tests with a real Slurm of one node; they say so if slurm-wlm or munge is missing
test-slurm: envs
	@$(call PYTHON,dev) -m pytest -m slurm

## Check style, types, imports between modules, and generated pages
lint: lint-style lint-rules lint-types lint-imports lint-settings

lint-style:
	@"$(call BIN,dev)/ruff" check .
	@"$(call BIN,dev)/ruff" format --check .

lint-rules:
	@"$(call BIN,dev)/snakefmt" --check Snakefile rules

lint-types:
	@"$(call BIN,dev)/mypy"

lint-imports:
	@"$(call BIN,dev)/lint-imports" --cache-dir .cache/import_linter

lint-settings:
	@$(call PYTHON,dev) -m ingot.tools.document_settings --check

## Resolve envs/*.in again into envs/*.lock
lock:
	@bash envs/lock.sh

## Measure what the trace layer costs and saves, beside its rivals
bench:
	@$(call PYTHON,workflow) bench/bench_traced.py

## Measure how fast and exact the curation is, beside its rivals
bench-data:
	@$(call PYTHON,bench) bench/bench_data.py $(TEXTS)

## Measure what the router's features tell on real labels
bench-router:
	@$(call PYTHON,dev) bench/bench_router.py $(LABELS) $(if $(EMBEDDING),--embedding "$(EMBEDDING)")

## Measure how often the escalation detector is right, also about what people said in DIALOGUES
bench-detector:
	@$(call PYTHON,dev) bench/bench_detector.py "$(DIALOGUES)"

## Measure how RELEASE is served, beside llama-server, which is built once
bench-serving: envs
	@$(call PYTHON,dev) bench/bench_serving.py "$(RELEASE)" --rival "$$($(call PYTHON,dev) bench/llama_server.py)" --write

## Write monitoring/dashboard.json from monitoring/dashboard.py
monitoring:
	@$(call PYTHON,dev) monitoring/dashboard.py

## Remove results/, logs/ and .snakemake; environments, dvc.lock and caches stay
clean:
	rm -rf results logs .snakemake
