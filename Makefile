# The commands of this project. Each installs or builds what it needs first; a second run is quick.
MODEL := .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
PROMPT ?= What is the capital of France?
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
CROSSVAL := build/bin/crossval
# How the folder build is configured where it is not yet (CMakePresets.json).
PRESET ?= dev

.PHONY: help deps deps-dev program build engines demo install unit test faults realbugs lint format docs \
        asan fuzz torture stress bench checkpoints clean

help:
	@echo "make demo     a real model through native and through llama.cpp, compared"
	@echo "make install  PREFIX=$(PREFIX) (DESTDIR=...): the program, its manual, completions"
	@echo "make unit     unit tests: no engine, no network"
	@echo "make test     everything demo needs, then all tests"
	@echo "make lint     clang-format, clang-tidy, the order of the folders"
	@echo "make docs     the tables of docs/json.md, from the program's own description"
	@echo "make asan     the tests of untrusted input under AddressSanitizer and UBSan"
	@echo "make fuzz     damaged files of each kind, FUZZ_SECONDS=$(FUZZ_SECONDS) each, under the sanitizers"
	@echo "make torture  system calls and allocations that fail one after another, 2,000 misbehaviours of workers"
	@echo "make stress   signals at random moments, eight runs at once, 10,000 prompts whose worker dies"
	@echo "make faults   seeded faults and clean pairs through trace: found, named, explained"
	@echo "make realbugs bugs of real engines (150 MB once; models: tests/realbugs/make_models.py)"
	@echo "make checkpoints  LLAMA_CPP=DIR (its sources): native against transformers, 65 architectures"
	@echo "make bench    kernels, and native against llama.cpp in the same run"

deps:
	@scripts/install_deps.sh

deps-dev:
	@scripts/install_deps.sh dev

# The program alone; a build folder that is there stays configured as it is.
program: deps
	@test -f build/build.ninja || cmake --preset default
	@cmake --build build --target crossval

# With the tests.
build: deps-dev
	@grep -qs CROSSVAL_TESTS:BOOL=ON build/CMakeCache.txt || cmake --preset $(PRESET)
	@cmake --build build

engines: program
	@scripts/fetch_models.sh
	@scripts/fetch_engines.sh

demo: program
	@scripts/fetch_models.sh
	@scripts/fetch_engines.sh llama-v0.5.0
	$(CROSSVAL) per-token --model $(MODEL) --prompt "$(PROMPT)"

install: program
	@cmake --install build --prefix $(PREFIX)

unit: build
	@ctest --test-dir build --output-on-failure -L unit -j "$$(nproc)"

test: build engines
	@ctest --test-dir build --output-on-failure -j "$$(nproc)"

faults: build engines
	@build/bin/faults

realbugs: build engines
	@scripts/fetch_engines.sh realbugs
	@tests/realbugs/run

checkpoints: program
	@tests/checkpoints/run $(LLAMA_CPP)

lint: deps-dev
	@grep -qs CROSSVAL_TESTS:BOOL=ON build/CMakeCache.txt || cmake --preset $(PRESET)
	@scripts/lint

format:
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

docs: build
	@CROSSVAL_WRITE_DOCS=1 build/bin/render_test --gtest_filter='JsonDocs.*' --gtest_brief=1

asan: deps-dev
	@cmake --preset asan
	@cmake --build build-asan --target crossval base_test gguf_test engine_test gguf_damage_test fuzz_targets sandbox_test
	@ctest --test-dir build-asan --output-on-failure -L untrusted -j "$$(nproc)"

fuzz: deps-dev
	@cmake --preset asan
	@cmake --build build-asan --target fuzz_targets
	@cmake --preset dev
	@cmake --build build --target fuzz_targets
	@for target in build/bin/*_fuzz; do \
	  asan=build-asan/bin/$${target##*/}; test ! -x $$asan || target=$$asan; \
	  echo "$$target"; $$target --seconds $(FUZZ_SECONDS) || exit 1; done

torture: build engines
	@tests/torture/run --per-kind 1000
	@tests/torture/workers

stress: build engines
	@tests/stress/run

bench: deps-dev
	@cmake --preset bench
	@cmake --build build
	@scripts/fetch_models.sh
	@scripts/fetch_engines.sh
	@bench/run

clean:
	rm -rf build build-asan
