"""The committed PTX is what the pinned compiler makes of the sources, and kernels stay small."""

from __future__ import annotations

import hashlib
import pathlib
import re
import subprocess
import sys

import device

PTX = device.HERE / "ptx"


def test_the_sources_give_the_committed_files():
    done = subprocess.run(
        [sys.executable, str(device.HERE / "generate.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_checksums():
    lines = (PTX / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == len(device.sizes())
    for line in lines:
        digest, name = line.split()
        assert hashlib.sha256((PTX / name).read_bytes()).hexdigest() == digest, name


def test_drivers_since_r520_take_it():
    for bits in device.sizes():
        text = (PTX / f"{bits}.ptx").read_text()
        assert re.search(r"^\.version 7\.8$", text, re.M)
        assert re.search(r"^\.target sm_70$", text, re.M)
        # Nothing of the machine that it was made on.
        assert "/home" not in text and "/work" not in text and "/tmp" not in text


def test_no_kernel_spills_and_registers_and_code_are_bounded():
    rows = [r.split() for r in (PTX / "resources.txt").read_text().splitlines()[1:]]
    kernels = 2 * 5 + 1
    assert len(rows) == 2 * kernels * len(device.sizes())
    for architecture, name, registers, spilled, shared, code in rows:
        where = f"{name} on {architecture}"
        assert int(spilled) == 0, where
        # The loops that count must leave room for sixteen warps a multiprocessor, code must fit
        # the instruction cache, and shared memory must not be what limits.
        limit = 128 if name.endswith(("evaluate", "multiply", "tables")) else 168
        assert int(registers) <= limit, where
        assert int(code) <= 32 << 10, where
        assert int(shared) <= 16 << 10, where


def test_sizes_are_the_same_for_plugin_and_kernels():
    source = (pathlib.Path(device.HERE) / "src" / "device.rs").read_text()
    found = re.findall(r"^    (\d+): (\d+) x (\d+);$", source, re.M)
    assert {int(b): (int(t), int(w)) for b, t, w in found} == device.sizes()


def test_cust_calls_nothing_that_the_double_lacks():
    shim = (pathlib.Path(device.HERE) / "src" / "driver.rs").read_text()
    double = (pathlib.Path(device.HERE) / "emulator" / "driver.cc").read_text()
    for name in re.findall(r"^    (cu\w+)\(", shim, re.M):
        assert re.search(rf"^API {name}\(", double, re.M), name
