"""Toy keys and sessions: 512 bits and sigma 40, for speed."""

import numpy as np
import pytest

import smlp

SIGMA = 40


@pytest.fixture(scope="session")
def key():
    return smlp.keygen(512, allow_insecure=True)


@pytest.fixture(scope="session")
def other_key():
    return smlp.keygen(512, allow_insecure=True)


@pytest.fixture(scope="session")
def p1(key):
    return smlp.P1(key.public, SIGMA)


@pytest.fixture(scope="session")
def p2(key):
    return smlp.P2(key.private)


@pytest.fixture
def session(key, p2):
    return smlp.Session(smlp.P1(key.public, SIGMA), p2)


@pytest.fixture
def rng():
    return np.random.default_rng(7)
