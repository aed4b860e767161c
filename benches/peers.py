"""smlp beside python-paillier, on one core, in one run.

RAYON_NUM_THREADS=1 .venv/bin/python benches/peers.py

Needs the environment that `make test` makes, and gmpy2 in it, which the peer is slow without.
"""

import time

import numpy as np
import phe
import smlp

BITS, COUNT = 2048, 64


def microseconds(work, count=COUNT):
    """Of one element, the better of two runs."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) / count * 1e6


rng = np.random.default_rng(0)
values = rng.integers(-(2**31), 2**31, COUNT)
weights = rng.integers(-(2**31), 2**31, COUNT)
matrix = rng.integers(-(2**31), 2**31, (64, 64))

key = smlp.keygen(BITS)
peer_public, peer_private = phe.generate_paillier_keypair(n_length=BITS)
peer = [peer_public.encrypt(int(v)) for v in values]
ours = smlp.encrypt(key, values)
smlp.encrypt(key.public, values[:1])  # makes the tables
peer_dot = sum(c * int(w) for c, w in zip(peer, weights))
assert peer_private.decrypt(peer_dot) == int(weights @ values)
assert (ours @ weights).decrypt(key.private) == weights @ values

rows = {
    "encrypt, public key": (
        microseconds(lambda: [peer_public.encrypt(int(v)) for v in values]),
        microseconds(lambda: smlp.encrypt(key.public, values)),
    ),
    "encrypt, key holder": (
        microseconds(lambda: [peer_public.encrypt(int(v)) for v in values]),
        microseconds(lambda: smlp.encrypt(key, values)),
    ),
    "decrypt": (
        microseconds(lambda: [peer_private.decrypt(c) for c in peer]),
        microseconds(lambda: ours.decrypt(key.private)),
    ),
    "add two ciphertexts": (
        microseconds(lambda: [a + b for a, b in zip(peer, peer)]),
        microseconds(lambda: ours + ours),
    ),
    "multiply by a 32-bit number": (
        microseconds(lambda: [c * int(w) for c, w in zip(peer, weights)]),
        microseconds(lambda: ours * weights),
    ),
    "64x64 clear matrix @ vector, a term": (
        microseconds(
            lambda: [sum(c * int(w) for c, w in zip(peer, row)) for row in matrix[:4]], 4 * COUNT
        ),
        microseconds(lambda: matrix @ ours, 64 * COUNT),
    ),
}
print(f"{BITS}-bit key, microseconds an element; backend {smlp.backend()}")
for name, (theirs, mine) in rows.items():
    print(
        f"{name:>36}  python-paillier {theirs:10.1f}  smlp {mine:8.1f}  ratio {theirs / mine:7.1f}"
    )
