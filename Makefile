# The commands of this project. Each installs or builds what it needs first; a second run is quick.
MODEL := .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
PROMPT ?= What is the capital of France?
CROSSVAL := build/bin/crossval

.PHONY: help deps build engines demo test faults lint format asan fuzz bench clean

help:
	@echo "make demo    a real model through native and through llama.cpp, compared"
	@echo "make test    everything demo needs, then all tests"
	@echo "make lint    clang-format, clang-tidy, the order of the folders"
	@echo "make asan    the tests of untrusted input under AddressSanitizer and UBSan"
	@echo "make fuzz    damaged model files for a minute, under the sanitizers"
	@echo "make faults  seeded faults and clean pairs through trace: found, named, explained, false alarms"
	@echo "make bench   kernels, and native against llama.cpp in the same run"

deps:
	@scripts/install_deps.sh

build: deps
	@test -f build/build.ninja || cmake --preset default
	@cmake --build build

engines: build
	@scripts/fetch_models.sh
	@scripts/fetch_engines.sh

demo: engines
	$(CROSSVAL) per-token --model $(MODEL) --prompt "$(PROMPT)"

test: engines
	@ctest --test-dir build --output-on-failure

faults: engines
	@build/bin/faults

lint: deps
	@test -f build/build.ninja || cmake --preset default
	@scripts/lint.sh

format:
	@git ls-files '*.cc' '*.h' | xargs clang-format -i

asan: deps
	@cmake --preset asan
	@cmake --build build-asan --target crossval base_test gguf_test engine_test gguf_damage_test gguf_fuzz
	@ctest --test-dir build-asan --output-on-failure -L untrusted

fuzz: deps
	@cmake --preset asan
	@cmake --build build-asan --target gguf_fuzz
	@build-asan/bin/gguf_fuzz --seconds 60

bench: engines
	@cmake --preset bench
	@cmake --build build
	@bench/run

clean:
	rm -rf build build-asan
