# Every target is complete in itself: it makes the environment it needs, with the newest supported
# Python that works here, installs into it and runs. Choose another with PYTHON=/path/to/python.

PYTHON ?= $(firstword $(shell .ci/pythons))
VENV ?= .venv-test
DEMO_VENV ?= .venv-demo
BUDGET ?= 150s

.PHONY: demo test test-short lint cases accuracy null bench-live bench-injector bench-search agreement soak-live clean \
	environment

demo:
	@echo "Installing into $(DEMO_VENV) ..."
	@.ci/environment $(DEMO_VENV) "$(PYTHON)" run
	@status=0; for bound in python gpu; do \
		set -- examples/gpu_serving/bench.py --budget $(BUDGET) -- --bound $$bound --steps 20000; \
		echo "speedbump-bisect $$*"; $(DEMO_VENV)/bin/speedbump-bisect "$$@" || status=$$?; \
	done; exit $$status

test: test-short
	$(VENV)/bin/python -m pytest -q -m "(investigation or crowd) and not thorough" $(TESTS) || [ $$? = 5 ]

# Side by side; whole investigations measure, and have both processors to themselves, as have tests
# that keep all of them busy.
# (5: there is none.)
test-short: environment
	$(VENV)/bin/python -m pytest -q -n logical --dist worksteal -m "not investigation and not crowd" $(TESTS) || [ $$? = 5 ]

lint: environment
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest -q -m "not process" tests/repo

# What has to be decided also on a machine that is not quiet.
cases accuracy: BUDGET = 120s

# The table of cases through the command line, about a minute each; CASES="ping_pong pool_of_4".
cases: environment
	$(VENV)/bin/python tests/table_of_cases.py --budget $(BUDGET) $(CASES)

# What make test leaves out; the demonstration again and again, with
# 20 seeds in both modes, about half an hour; then the generated programs, once each, ten minutes: how
# much of what was planted in them is found, and what else. Only these, or some of them, with
# ACCURACY="--generated deep wide".
accuracy: environment
	$(VENV)/bin/python -m pytest -q -m thorough
	$(VENV)/bin/python tests/accuracy.py --budget $(BUDGET) $(ACCURACY)

# How often something is reported where nothing matters: 200 investigations of at most 20 s.
null: environment
	$(VENV)/bin/python tests/null.py $(NULL)

# What windows of one run save against a process for each experiment, 45 minutes; one example or
# start-up with LIVE="--example gpu_serving --startup 10".
bench-live: environment
	$(VENV)/bin/python tests/bench_live.py $(LIVE)

# What the search costs and how right it is, simulated, and what others would need: two hours. A part,
# or few trials, with SEARCH="--only table --trials 200".
bench-search: environment
	$(VENV)/bin/python tests/bench_search.py $(SEARCH)

# What a callback costs, how exact delays are, what discovery costs and how right its own times are:
# a minute.
bench-injector: environment
	$(VENV)/bin/python tests/injector/bench_injector.py

# The same programs in windows of one run and in a process for each experiment, side by side.
agreement: environment
	$(VENV)/bin/python tests/agreement.py $(LIVE)

# An hour of switching: memory of both sides, and what being attached costs.
soak-live: environment
	$(VENV)/bin/python tests/soak_live.py $(LIVE)

environment:
	@.ci/environment $(VENV) "$(PYTHON)" dev

clean:
	rm -rf .venv-* build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .speedbump
	find bisector injector strategies tests examples -name __pycache__ -prune -exec rm -rf {} +
	rm -f injector/_core*.so
