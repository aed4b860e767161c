# `make demo` and `make test` set up what they need. PREFIX is where `make install` installs.
PREFIX ?= /usr/local
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/pip --disable-pip-version-check -q
# Statistical tests of the masks need reproducible ones.
TEST_FEATURES := test-seed
# A Python that has torch: Debian's package belongs to Debian's Python.
TORCH_PYTHON ?= /usr/bin/python3
TORCH_VENV := .venv-torch
TORCH_PREFIX := $(CURDIR)/build/pytorch

.PHONY: help build demo test test-rust test-python test-pytorch lint header bench install clean

help:
	@echo "make demo     train XOR on encrypted data, beside its clear twin (one minute after the build, two without AVX-512 IFMA)"
	@echo "make test     run all tests: Rust, C, C++, Python, PyTorch, header, formatting"
	@echo "make install  install library, headers, CMake and pkg-config files under PREFIX=$(PREFIX)"
	@echo "make bench    time the primitives, as ratios to GMP"
	@echo "make header   write include/smlp.h anew from the Rust sources"

build:
	@scripts/setup.sh build
	cargo build --release --locked

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

demo: build $(VENV)/bin/python
	$(PIP) install './bindings/python[demo]'
	$(VENV)/bin/python bindings/python/examples/xor_demo.py

test: test-rust test-python test-pytorch

lint:
	cargo fmt --all --check
	cargo clippy --locked --all-targets --features $(TEST_FEATURES) -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps -q

test-rust:
	@scripts/setup.sh test
	$(MAKE) --no-print-directory lint
	cargo test --locked --features $(TEST_FEATURES)
	SMLP_BACKEND=gmp cargo test --locked --features $(TEST_FEATURES) --test protocols --test training

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
