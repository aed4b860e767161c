"""Trains a small network on encrypted data, in one process, with both servers played here."""

import numpy as np

import smlp

rng = np.random.default_rng(0)
X = rng.integers(0, 2, (40, 2)).astype(float)
Y = np.eye(2)[X.sum(axis=1).astype(int) % 2]

key = smlp.keygen(2048)
x, y = smlp.encrypt(key.public, X), smlp.encrypt(key.public, Y)
session = smlp.Session(smlp.P1(key.public), smlp.P2(key.private))
net = smlp.MLP([2, 10, 2], ["relu", "linear"], key=key.public, seed=1)
net.fit(session, x, y, epochs=10, batch_size=40, lr=0.05)
print(net.predict(session, x).decrypt(key.private))
