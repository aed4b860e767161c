"""Builds the test double of the CUDA driver; `SMLP_CUDA_DRIVER=libcuda.so.1` uses a real one."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

CUDA = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CUDA))

import device  # noqa: E402


@pytest.fixture(scope="session")
def double() -> pathlib.Path:
    """The folder of the test double's libcuda.so.1."""
    build = CUDA.parent / "target" / "cuda"
    subprocess.run(["make", "-s", "-C", str(CUDA), f"BUILD={build}", "double"], check=True)
    return build


@pytest.fixture(scope="session")
def driver(double: pathlib.Path) -> device.Driver:
    """The driver that the kernels run on."""
    return device.Driver(os.environ.get("SMLP_CUDA_DRIVER") or str(double / "libcuda.so.1"))
