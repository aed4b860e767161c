"""Toy keys and sessions: 512 bits and sigma 40, for speed."""

import signal

import numpy as np
import pytest

import smlp

SIGMA = 40


@pytest.fixture(autouse=True)
def ctrl_c():
    """Ctrl-C as in a terminal, also where the tests were started with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def key():
    return smlp.keygen(512, allow_insecure=True)


@pytest.fixture(scope="session")
def other_key():
    return smlp.keygen(512, allow_insecure=True)


@pytest.fixture(scope="session")
def p1(key):
    return smlp.P1(key.public, sigma=SIGMA, allow_insecure=True)


@pytest.fixture(scope="session")
def p2(key):
    return smlp.P2(key.private)


@pytest.fixture
def session(key, p2):
    """With a record, for ClearSession(session.record)."""
    return smlp.Session(
        smlp.P1(key.public, sigma=SIGMA, allow_insecure=True), p2, record=smlp.Record()
    )


@pytest.fixture
def rng():
    return np.random.default_rng(7)
