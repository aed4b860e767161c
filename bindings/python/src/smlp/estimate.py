"""What a training job will cost, measured before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ._native import bytes_of, create, lib, unsigned, value_of
from .keys import key_flags
from .mlp import network_options
from .protocol import DEFAULT_SECURITY


@dataclass(frozen=True)
class Estimate:
    """What a job costs on this machine with the backend in use. ``print`` shows all of it."""

    steps: int
    """Training steps of the job."""
    seconds: float
    """All of them, both parties on this machine."""
    data_ciphertexts: int
    """Of the packed data set, inputs and targets."""
    data_bytes: int
    first_step_seconds: float
    """With what it sets up."""
    step_seconds: float
    """Every further step."""
    step_p1_seconds: float
    step_rounds: int
    step_bytes_sent: int
    """From P1 to P2."""
    step_bytes_received: int
    step_terms: int
    """Terms of products by masks: a ciphertext to the power of a mask each."""
    step_decryptions: int
    step_encryptions: int
    log2_advantage: float
    """log2 of m·2^−sigma: P2's advantage over guessing at the end is at most that."""
    sigma: int
    """Statistical security of the job's masks in bits, which follows from the promise."""
    text: str

    def __str__(self) -> str:
        return self.text


def estimate(
    layers: Sequence[int],
    activations: Sequence[str] | None = None,
    *,
    rows: int,
    batch_size: int = 32,
    epochs: int = 1,
    key_bits: int = 3072,
    security: int = DEFAULT_SECURITY,
    fraction_bits: int = 16,
    weight_bits: int | None = None,
    activation_bits: int | None = None,
    short_exponents: bool = False,
    allow_insecure: bool = False,
) -> Estimate:
    """Measures two steps of a job: random numbers, a throw-away key, both parties in this process.

    Takes as long as these steps and the key. The network's arguments are those of
    :class:`smlp.MLP`, ``short_exponents`` is that of :func:`smlp.keygen`, ``security`` that of
    :class:`smlp.P1`; ``rows`` is the size of the data set.
    """
    options = network_options(layers, activations, fraction_bits, weight_bits, activation_bits)
    job = (
        unsigned("rows", rows, 64),
        unsigned("batch_size", batch_size, 64),
        unsigned("epochs", epochs, 64),
        unsigned("key_bits", key_bits),
        unsigned("security", security),
    )
    flags = key_flags(allow_insecure, short_exponents)
    handle = create(lib.smlp_estimate_new, options, *job, flags)
    names = [name for name in Estimate.__dataclass_fields__ if name != "text"]
    values = {
        name: value_of(lib.smlp_estimate_number, handle, which) for which, name in enumerate(names)
    }
    for name, field in Estimate.__dataclass_fields__.items():
        if field.type == "int":
            values[name] = int(values[name])
    return Estimate(**values, text=bytes_of(lib.smlp_estimate_text, handle).decode())
