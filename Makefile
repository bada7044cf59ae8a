# What people run. A recipe that needs more than a line is a script in scripts/.
# Nothing but Python 3.11, Node 20 and make has to be there: uv and all packages are brought into this folder.

.DEFAULT_GOAL := help
.PHONY: help up roll setup python web test lint format proto bench bench-latency bench-talk chaos soak clean

BIN := .venv/bin
PACKAGES := $(wildcard pyproject.toml proto/pyproject.toml bench/pyproject.toml services/*/pyproject.toml \
	deploy/local/pyproject.toml tests/support/pyproject.toml tests/emulators/pyproject.toml)
WEB_SOURCES := $(shell find web/src web/public web/index.html web/vite.config.ts web/tsconfig.json 2>/dev/null)

PYTHON_READY := .venv/.natter-ready
WEB_PACKAGES := web/node_modules/.natter-ready
WEB_PAGE := web/dist/index.html

help: ## show this
	@echo "Natter: real-time voice AI. To talk to it: make up"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

up: setup ## run everything on this machine until Ctrl-C, and print the address to open
	@exec $(BIN)/natter-local

roll: python ## replace the workers of a running `make up` one after another; conversations go on
	@exec $(BIN)/natter-local roll

setup: python web ## bring all that is needed: uv, Python packages, the built page

python: $(PYTHON_READY)

web: $(WEB_PAGE) ## build the page

test: setup ## run every test (brings Chromium)
	@scripts/test.sh

lint: python $(WEB_PACKAGES) ## check style, types, generated code
	@scripts/lint.sh

format: python ## put the code into its form
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

proto: python ## generate the code of proto/natter/v1
	@$(BIN)/python proto/generate.py

bench: setup ## measure a call on the built-in models
	@exec $(BIN)/natter-bench run

bench-latency: setup ## measure how fast it answers, on emulated services
	@exec $(BIN)/natter-bench latency

bench-talk: setup ## play recorded cases of talk, and judge what comes of each
	@exec $(BIN)/natter-bench talk

chaos: setup ## kill workers in the middle of calls, on emulated services and on built-in models; three hours
	@scripts/chaos.sh

soak: setup ## eight callers for half an hour, while workers are killed at random
	@exec $(BIN)/natter-bench soak

clean: ## remove what was built or brought here
	rm -rf .venv .venv-tools var web/node_modules web/dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PYTHON_READY): uv.lock $(PACKAGES)
	@scripts/python.sh
	@touch $@

$(WEB_PACKAGES): web/package-lock.json web/package.json
	@scripts/web.sh install
	@touch $@

$(WEB_PAGE): $(WEB_PACKAGES) $(WEB_SOURCES)
	@scripts/web.sh build
	@touch $@
