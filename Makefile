# Every target makes .venv and installs what it needs; once in place that costs nothing.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=
FUZZ_SECONDS ?= 20
KILLS  ?= 100

.PHONY: setup run test test-waits test-works conformance kills check format bench fuzz schedules soak clean

setup: $(READY)

$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once) …" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

run: $(READY)
	@exec $(BIN)/tapewire run $(ARGS)

# Two halves side by side: what waits for sockets and programs, and what works. With ARGS one pytest does all.
test: $(READY)
ifneq ($(strip $(ARGS)),)
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-waits test-works
endif

test-waits: $(READY)
	@$(BIN)/python -m pytest tests/e2e tests/http tests/rfc6455 tests/conformance tests/property

test-works: $(READY)
	@$(BIN)/python -m pytest tests/simulation tests/schedules tests/unit tests/fuzz

# The public cases of RFC 6455 against both ends.
conformance: $(READY)
	@$(BIN)/python -m pytest tests/rfc6455 $(ARGS)

# kill -9 of a whole trading system under load, so many times; and random days of power cuts and failing disks.
kills: $(READY)
	@TAPEWIRE_SYSTEM_KILLS=$(KILLS) TAPEWIRE_POWER_DAYS=$(KILLS) $(BIN)/python -m pytest -s \
		tests/e2e/test_system_kills.py tests/simulation/test_venue_power.py $(ARGS)

check: $(READY)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# make bench ARGS="receive --json" runs one; without ARGS all of them print their tables.
bench: $(READY)
	@$(BIN)/python -m bench $(if $(ARGS),$(ARGS),all)

# Bounded: so many seconds for each reader. Where the fuzzer does not exist it says so and goes on.
fuzz: $(READY)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet \
		--disable-pip-version-check --only-binary atheris --editable '.[fuzz]' || true
	@$(BIN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS) $(ARGS)

# A thousand drawn days of the client on virtual time; ARGS=17 repeats one and makes it short.
schedules: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m schedules.play $(ARGS)

# A simulated day with a fault a minute: what the client keeps must not grow.
soak: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m schedules.soak $(ARGS)

clean:
	rm -rf $(VENV) .fuzz .mypy_cache .ruff_cache .hypothesis dist build
