# Every command below ends in one line that a script can read. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check crash serving mutants bench fuzz dist lock clean

PYTHON := .venv/bin/python
KILLS ?= 10000
MINUTES ?= 5
REQUESTS ?= 50000
ROTATIONS ?= 20
SEED ?= 1

help: ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

setup: ## name and install missing Debian packages (YES=1: without a question), make .venv from the lock
	@scripts/setup.sh

demo: setup ## rotations under load with real processes and a real PostgreSQL, then the usual order beside it
	@$(PYTHON) examples/demo.py

test: setup ## every suite with its time, then `suites run=... missing=name(reason)`
	@$(PYTHON) -m scripts.run_tests

check: setup ## every gate: style, types, imports, sizes, words, coverage
	@$(PYTHON) -m scripts.gates

crash: setup ## a rotation under every fault, KILLS=10000 of them at least; goes on where it was cut off, FRESH=1: anew
	@$(PYTHON) -m tests.crash.run --kills $(KILLS) --state .cache/crash $(if $(FRESH),--fresh) --results tests/crash/results.json
	@$(PYTHON) -m tests.crash.outcome

serving: setup ## a FastAPI service behind nginx, rotated under its users: REQUESTS=50000, ROTATIONS=20, SEED=1
	@$(PYTHON) -m tests.serving.run --requests $(REQUESTS) --rotations $(ROTATIONS) --seed $(SEED) --results tests/serving/results.json
	@$(PYTHON) -m tests.serving.outcome

mutants: setup ## seeded bugs, each of which one named test must find
	@$(PYTHON) -m scripts.mutants

bench: setup ## measured against named peers in the same run: ratios, and bench/results.json
	@$(PYTHON) -m bench

fuzz: setup ## property tests with fresh random input for MINUTES=5
	@$(PYTHON) -m scripts.fuzz --minutes $(MINUTES)

dist: setup ## wheel and sdist in dist/, built twice and compared
	@$(PYTHON) -m scripts.dist

lock: ## write requirements.lock anew (needs uv)
	@scripts/lock.sh

clean: ## remove what these commands make
	@rm -rf .venv .cache build dist
	@find src tests scripts examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
