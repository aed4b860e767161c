#!/usr/bin/env bash
# Installs what is missing: `setup.sh build` for building and the demo, `setup.sh test` for all tests but
# those that need torch, `setup.sh pytorch` for those (Debian's torch; half a minute).
# Needs Rust already. Uses apt-get where there is one; elsewhere it says what to install.
set -euo pipefail

wanted=(cc:gcc g++:g++ make:make m4:m4)
mode=${1:-build}
[ "$mode" = test ] && wanted+=(cmake:cmake pkg-config:pkg-config valgrind:valgrind nm:binutils ip:iproute2 openssl:openssl)
[ "$mode" = pytorch ] && wanted+=(g++:g++ ninja:ninja-build)

missing=()
for entry in "${wanted[@]}"; do
    command -v "${entry%%:*}" >/dev/null || missing+=("${entry##*:}")
done
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
    missing+=(python3 python3-venv)
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=(python3-venv)
fi

# Whether there is a torch, and what its extensions are compiled with.
has_torch() {
    "${TORCH_PYTHON:-/usr/bin/python3}" - 2>/dev/null <<'END'
import os, sysconfig, setuptools, ensurepip, venv
from torch.utils.cpp_extension import include_paths
folders = [*include_paths(), sysconfig.get_path("include"), "/usr/include"]
for header in ("torch/extension.h", "pybind11/pybind11.h", "Python.h"):
    assert any(os.path.exists(os.path.join(folder, header)) for folder in folders), header
END
}
if [ "$mode" = pytorch ] && ! has_torch; then
    missing+=(python3-torch libtorch-dev pybind11-dev python3-dev python3-venv python3-setuptools)
fi

if [ ${#missing[@]} -gt 0 ]; then
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; }; then
        echo "please install: ${missing[*]}" >&2
        exit 1
    fi
    echo "installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! command -v cargo >/dev/null; then
    echo "please install Rust 1.89 or later (https://rustup.rs), then try again" >&2
    exit 1
fi
