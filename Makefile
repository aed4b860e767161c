# `make demo` and `make test` set up what they need. PREFIX is where `make install` installs.
PREFIX ?= /usr/local
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip --disable-pip-version-check -q
# One set of features for all Rust tests, so that nothing is compiled twice: `test-seed` for the statistical
# tests of the masks, `cli` for the network. Without `cli` the library is linted, and tested from Python.
TEST_FEATURES := cli,test-seed
# All tests of tests/ but those of the network, which is a folder.
TESTS := $(patsubst tests/%.rs,--test %,$(wildcard tests/*.rs))
# A Python that has torch: Debian's package belongs to Debian's Python.
TORCH_PYTHON ?= /usr/bin/python3
TORCH_VENV := .venv-torch
TORCH_PREFIX := $(CURDIR)/build/pytorch

# What the tests of the CUDA plugin are built into; a kit to measure on a machine with a GPU.
CUDA_BUILD := $(CURDIR)/target/cuda
CUDA_KIT := $(CURDIR)/build/cuda-kit

.PHONY: help build demo test test-rust test-net test-python test-pytorch test-cuda lint cuda cuda-kit header bench install clean

help:
	@echo "make demo     train XOR on encrypted data, beside its clear twin (one minute after the build, two without AVX-512 IFMA)"
	@echo "make test     run all tests: Rust, C, C++, Python, PyTorch, CUDA without a GPU, header, formatting"
	@echo "make test-net only those of the network and of the command smlp"
	@echo "make install  install library, headers, CMake and pkg-config files under PREFIX=$(PREFIX)"
	@echo "make bench    time the primitives, as ratios to GMP"
	@echo "make cuda     build the CUDA plugin, target/release/libsmlp_cuda.so: needs no CUDA"
	@echo "make cuda-kit put all that measuring on a GPU machine needs into build/cuda-kit"
	@echo "make header   write include/smlp.h anew from the Rust sources"

# FEATURES=net: with the network transport in the library, for `make build` and `make install`.
build:
	@scripts/setup.sh build
	cargo build --release --locked $(if $(FEATURES),--features $(FEATURES))

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

demo: build $(VENV)/bin/python
	$(PIP) install './bindings/python[demo]'
	$(VENV)/bin/python bindings/python/examples/xor_demo.py

PARTS := rust net python pytorch cuda

# Says at the end how long each part took.
test:
	@for part in $(PARTS); do \
	    began=$$(date +%s); $(MAKE) --no-print-directory test-$$part || exit 1; \
	    times="$$times test-$$part $$(($$(date +%s) - began)) s,"; \
	done; echo "all tests passed:$${times%,}"

lint:
	cargo fmt --all --check
	cargo clippy --locked -- -D warnings
	cargo clippy --locked --all-targets --features $(TEST_FEATURES) -- -D warnings
	cargo clippy --locked -p smlp-cuda -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps -q --features cli

test-rust:
	@scripts/setup.sh test
	$(MAKE) --no-print-directory lint
	cargo test --locked --features $(TEST_FEATURES) --lib --bins --examples $(TESTS)
	cargo test --locked --features $(TEST_FEATURES) --doc
	SMLP_BACKEND=gmp cargo test --locked --features $(TEST_FEATURES) --test protocols --test training

# P1 and P2 on different hosts, which are network namespaces where root may make them, processes on loopback elsewhere.
test-net: $(VENV)/bin/python
	@scripts/setup.sh test
	$(PIP) install numpy tqdm pytest 'scikit-learn>=1'  # the last for docs/three-machines.md, which is run
	cargo test --locked --features $(TEST_FEATURES) --test network
	SMLP_LIBRARY=$(CURDIR)/target/debug/deps/libsmlp.so SMLP_COMMAND=$(CURDIR)/target/debug/smlp \
	    PYTHONPATH=bindings/python/src timeout 300 $(VENV)/bin/python -m pytest -q \
	    bindings/python/tests/test_network.py bindings/python/tests/test_abi.py

test-python: build $(VENV)/bin/python
	$(PIP) install './bindings/python[test,demo]'
	$(VENV)/bin/ruff check bindings/python
	$(VENV)/bin/ruff format --check -q bindings/python
	cd bindings/python && $(CURDIR)/$(VENV)/bin/mypy --no-error-summary
	timeout 1200 $(VENV)/bin/python -m pytest -q bindings/python/tests --ignore=bindings/python/tests/pytorch

# What needs torch: the drop-in module by ctypes and as an extension built in two ways, the classes, the models.
test-pytorch: build
	@TORCH_PYTHON='$(TORCH_PYTHON)' scripts/setup.sh pytorch
	[ -x $(TORCH_VENV)/bin/python ] || $(TORCH_PYTHON) -m venv --system-site-packages $(TORCH_VENV)
	$(TORCH_VENV)/bin/pip --disable-pip-version-check -q install './bindings/python[demo]' 'numpy<2' 'pytest>=7'
	$(MAKE) --no-print-directory install-native PREFIX='$(TORCH_PREFIX)' >/dev/null
	SMLP_PREFIX='$(TORCH_PREFIX)' timeout 1200 $(TORCH_VENV)/bin/python -m pytest -q bindings/python/tests/pytorch

cuda:
	@scripts/setup.sh build
	cargo build --release --locked -p smlp-cuda

cuda-kit: build cuda
	cargo build --release --locked --example throughput --example step
	@mkdir -p $(CUDA_KIT)/kernels
	cp target/release/libsmlp_cuda.so target/release/examples/throughput target/release/examples/step \
	    cuda/harness.py cuda/device.py cuda/checks.py $(CUDA_KIT)
	cp cuda/kernels/sizes.h $(CUDA_KIT)/kernels
	cp -r cuda/ptx $(CUDA_KIT)

# Kernels on the emulator, and the cases of every backend on the plugin, on a double of the driver.
test-cuda: cuda-kit $(VENV)/bin/python
	$(PIP) install -r cuda/requirements.txt
	$(VENV)/bin/ruff check cuda
	$(VENV)/bin/ruff format --check -q cuda
	cd cuda && $(CURDIR)/$(VENV)/bin/mypy --no-error-summary
	$(MAKE) -s -C cuda BUILD=$(CUDA_BUILD) double
	cd cuda && SMLP_CUDA_KIT=$(CUDA_KIT) timeout 1200 $(CURDIR)/$(VENV)/bin/python -m pytest -q
	SMLP_PLUGIN=$(CURDIR)/target/release/libsmlp_cuda.so LD_LIBRARY_PATH=$(CUDA_BUILD) SMLP_BACKEND=cuda \
	    cargo test --locked --features $(TEST_FEATURES) --lib modular
	SMLP_PLUGIN=$(CURDIR)/target/release/libsmlp_cuda.so LD_LIBRARY_PATH=$(CUDA_BUILD) SMLP_BACKEND=cuda \
	    cargo test --locked --features $(TEST_FEATURES) --test protocols -- --skip real_keys

header:
	SMLP_BLESS=1 cargo test --features $(TEST_FEATURES) --test header

bench:
	RAYON_NUM_THREADS=1 cargo bench

install: build
	$(MAKE) --no-print-directory install-native PREFIX='$(PREFIX)'

include bindings/cpp/install.mk

clean:
	cargo clean
	rm -rf $(VENV) $(TORCH_VENV) build
