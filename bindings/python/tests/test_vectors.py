"""Files that Rust and Python wrote, read by both; tests/vectors.rs says how to write them anew."""

import os
from pathlib import Path

import numpy as np
import pytest

import smlp

FOLDER = Path(__file__).resolve().parents[3] / "tests" / "vectors"
VALUES = [[1.5, -2.0, 0.0], [0.25, 100.0, -99.75]]


@pytest.mark.parametrize("name", ["rust.tensor", "python.tensor"])
def test_tensors_of_both_languages_are_read(name):
    public = smlp.PublicKey.load(FOLDER / "toy.public", allow_insecure=True)
    # Not load(): a checkout lets everybody read it.
    secret = (FOLDER / "toy.private").read_bytes()
    private = smlp.PrivateKey.from_bytes(secret, allow_insecure=True)
    if name == "python.tensor" and "SMLP_BLESS" in os.environ:
        smlp.encrypt(public, VALUES, fraction_bits=12, bound_bits=30).save(FOLDER / name)
    tensor = smlp.EncryptedTensor.load(FOLDER / name, public)
    assert (tensor.shape, tensor.scale, tensor.bound) == ((2, 3), 12, 30)
    np.testing.assert_array_equal(tensor.decrypt(private), VALUES)
