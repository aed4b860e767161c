"""A process that has used the library forks, in both ways that Python knows: children work, too."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

import smlp

VALUES = np.array([[1, -2, 3], [-4, 5, -6]])
PATIENCE = 120


def work(key, session, x):
    """Something of everything; the bytes of a fresh ciphertext."""
    fresh = smlp.encrypt(key.public, VALUES)
    assert np.array_equal(session.multiply(fresh, x).decrypt(key.private), VALUES * VALUES)
    assert np.array_equal(session.relu(x).decrypt(key.private), np.maximum(VALUES, 0))
    return fresh.ciphertexts()[0, 0].to_bytes(128, "little")


def ended_well(pid):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status == 0
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def in_a_child(function):
    """The process id of a child that runs it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return pid


@pytest.fixture
def stage(key, p1, p2):
    session = smlp.Session(p1, p2)
    x = smlp.encrypt(key.public, VALUES)
    work(key, session, x)
    return key, session, x


def test_children_and_parent_work_at_once_with_different_randomness(stage):
    pipes = [os.pipe() for _ in range(3)]
    children = [in_a_child(lambda end=end: os.write(end, work(*stage))) for _, end in pipes]
    seen = {work(*stage)}
    ended = [ended_well(child) for child in children]
    assert all(ended)
    for read, write in pipes:
        seen.add(os.read(read, 1024))
        os.close(read)
        os.close(write)
    assert len(seen) == 4


def test_multiprocessing_with_fork(stage):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    processes = [context.Process(target=lambda: queue.put(work(*stage))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
        assert process.exitcode == 0
    assert len({queue.get(), queue.get(), work(*stage)}) == 3


def test_a_child_trains_on(key, p1, p2):
    network = smlp.MLP([2, 4, 1], ["relu", "linear"], key=key.public, fraction_bits=8)
    x = smlp.encrypt(key.public, np.ones((4, 2)), fraction_bits=8, bound_bits=14)
    y = smlp.encrypt(key.public, np.ones((4, 1)), fraction_bits=8, bound_bits=14)
    session = smlp.Session(p1, p2)

    def fit():
        network.fit(session, x, y, epochs=1, batch_size=4, lr=0.1)
        assert np.isfinite(network.predict(session, x).decrypt(key.private)).all()

    fit()
    child = in_a_child(fit)
    fit()
    assert ended_well(child)


def test_an_operation_goes_on_in_the_process_that_began_it(key, p1, p2):
    children = []

    def forking(request):
        if not children:
            children.append(os.fork())
        return p2.answer(request)

    session = smlp.Session(p1, forking)
    x = smlp.encrypt(key.public, VALUES)
    code = 1
    try:
        result = session.relu(x)
        code = 2
    except smlp.FinishedError as error:
        code = 0 if "forked" in str(error) else 3
    finally:
        if children == [0]:
            os._exit(code)
    assert code == 2
    assert ended_well(children[0])
    assert np.array_equal(result.decrypt(key.private), np.maximum(VALUES, 0))
