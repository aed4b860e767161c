#!/usr/bin/env bash
# Installs what is missing: `setup.sh build` for building and the demo, `setup.sh test` for all tests.
# Needs Rust already. Uses apt-get where there is one; elsewhere it says what to install.
set -euo pipefail

wanted=(cc:gcc g++:g++ make:make m4:m4)
[ "${1:-build}" = test ] && wanted+=(cmake:cmake pkg-config:pkg-config valgrind:valgrind nm:binutils)

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
