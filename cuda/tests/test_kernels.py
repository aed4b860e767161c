"""Every kernel of every size and form against Python's integers, on the emulator (or a GPU)."""

from __future__ import annotations

import pytest

import checks
import device

CASES = [(bits, form) for bits in device.sizes() for form in ("plain", "nadic")]


@pytest.fixture(scope="module", params=CASES, ids=lambda c: f"{c[1]}-{c[0]}")
def rings(request, driver):
    bits, form = request.param
    kernels = device.Kernels(driver, bits)
    return [(root, device.Ring(kernels, form, root)) for root in checks.moduli(bits)]


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda c: c.__name__)
def test_kernels(rings, check):
    for root, ring in rings:
        check(ring, root)


def test_a_truncated_or_foreign_module_is_refused(driver):
    whole = (device.HERE / "ptx" / "512.ptx").read_bytes()
    for image in (whole[: len(whole) // 2], b"not PTX at all", b""):
        with pytest.raises(device.DeviceError):
            device.Kernels(driver, 512, image)
