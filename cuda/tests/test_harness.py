"""The harness runs to its end on the test double, with figures that mean nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import device
import harness


def run(*arguments: str, kit=device.HERE, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(kit / "harness.py"), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )


def test_kernels_are_checked_and_timed(double):
    small = ["--largest", "1024", "--batch", "6", "--repetitions", "1", "--kernels-only"]
    done = run("--driver", str(double / "libcuda.so.1"), *small)
    assert done.returncode == 0, done.stderr
    assert "emulated device, 1 multiprocessors, 1000 MHz" in done.stdout
    for bits in (512, 1024):
        assert f"{bits} bits: every kernel gives what pow gives" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("| modexp (2048, 1024)")]
    assert len(rows) == 2 and all(row.count("%") == 2 for row in rows)
    assert "| terms of 104 bits modulo 2048 bits | 5 |" in done.stdout


def test_the_library_is_timed_with_the_plugin_and_without(double):
    kit = os.environ.get("SMLP_CUDA_KIT")
    assert kit, "SMLP_CUDA_KIT must name what `make cuda-kit` makes"
    small = ["--largest", "1024", "--batch", "4", "--cpu-batch", "4", "--repetitions", "1"]
    folder = device.pathlib.Path(kit).resolve()
    done = run(*small, "--steps", "2,2,2:1", kit=folder, LD_LIBRARY_PATH=str(double))
    assert done.returncode == 0, done.stderr
    assert "# cuda: emulated device" in done.stdout and "# cuda on" in done.stdout
    assert "gone over to the CPU" not in done.stdout
    for name in ("modexp (2048, 1024)", "encryption, public key", "decryption", "2,2,2, batch 1"):
        assert f"| {name} |" in done.stdout, done.stdout


def test_a_wrong_kernel_is_found(driver, monkeypatch):
    right = device.Ring.leave
    monkeypatch.setattr(device.Ring, "leave", lambda self, x: [v ^ 1 for v in right(self, x)])
    with pytest.raises(AssertionError):
        harness.check(driver, [512])


def test_without_a_driver_it_says_so():
    done = run("--driver", "/nowhere/libcuda.so.1")
    assert done.returncode != 0 and "no CUDA driver" in done.stderr
