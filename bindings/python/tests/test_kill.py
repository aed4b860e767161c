"""Training that is killed with SIGKILL and resumed is repeated by its twin, integer for integer."""

import copy
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import trainer

import smlp

TRAINER = Path(trainer.__file__)
PACKAGE = TRAINER.parents[1] / "src"
FORMAT = {"fraction_bits": 10, "bound_bits": 14}
STEPS = 30


@pytest.fixture(scope="module")
def real_key():
    return smlp.keygen(2048)


def integers(clear):
    return [tensor.integers().tolist() for tensor in clear.weights + clear.biases]


def start(folder):
    path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, str(TRAINER), str(folder), str(STEPS)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def kill_at_some_point_after(process, steps, seconds):
    """Lets the process do so many steps and run on for a part of a step; the last step it told."""
    for _ in range(steps + 1):
        told = int(process.stdout.readline())
    time.sleep(seconds)
    process.kill()
    rest = process.stdout.read().split()
    assert process.wait() == -signal.SIGKILL
    return int(rest[-1]) if rest else told


def test_a_killed_and_resumed_training_is_repeated_by_its_twin(real_key, tmp_path):
    inputs = np.random.default_rng(1).integers(0, 2, (10, 2))
    labels = np.eye(2)[inputs[:, 0] ^ inputs[:, 1]]
    x, y = (smlp.encrypt(real_key, array, packed=True, **FORMAT) for array in (inputs, labels))
    net = smlp.MLP(
        [2, 4, 2], key=real_key.public, seed=5, fraction_bits=10, weight_bits=14, activation_bits=14
    )
    real_key.private.save(tmp_path / "private.key")
    (tmp_path / "x").write_bytes(x.to_bytes())
    (tmp_path / "y").write_bytes(y.to_bytes())
    net.save(tmp_path / "net.smlp")
    owner = smlp.RecordKey.generate()
    (tmp_path / "record.public").write_bytes(owner.public)

    began = time.perf_counter()
    session = smlp.Session(
        smlp.P1(real_key.public, sigma=40, allow_insecure=True), smlp.P2(real_key.private)
    )
    copy.copy(net).fit(session, x, y, steps=5, progress=False, **trainer.OPTIONS)
    step_seconds = (time.perf_counter() - began) / 5

    seed = time.time_ns()
    print(f"moments of the kills drawn with seed {seed}")
    moments = random.Random(seed)
    lost = 0
    for _ in range(3):
        with start(tmp_path) as process:
            steps, part = moments.randint(1, 5), moments.random()
            told = kill_at_some_point_after(process, steps, part * step_seconds)
        saved = smlp.MLP.load(tmp_path / "net.smlp", real_key.public).step
        assert saved < STEPS, "nothing was interrupted"
        assert saved % trainer.EVERY == 0
        # The file is that of the last multiple, or of the step that was just being told.
        assert told - trainer.EVERY < saved <= told + 1
        lost += max(told - saved, 0)
    with start(tmp_path) as process:
        assert process.stdout.read().split()[-1] == str(STEPS)
    assert process.returncode == 0
    print(f"{lost} steps were done twice")

    resumed = smlp.MLP.load(tmp_path / "net.smlp", real_key.public).decrypt(real_key.private)
    record, twin = smlp.Record.read(tmp_path / "record", owner), net.decrypt(real_key.private)
    assert len(record) >= STEPS + lost
    repeating = smlp.ClearSession(record)
    twin.fit(repeating, inputs, labels, steps=STEPS, progress=False, **trainer.OPTIONS)
    assert resumed.step == twin.step == STEPS
    assert integers(resumed) == integers(twin)


def test_checkpoints_follow_the_training(tmp_path):
    path = tmp_path / "net.smlp"
    net = smlp.MLP([2, 4, 2], seed=5)
    session, x, y = smlp.ClearSession(), np.eye(2), np.eye(2)
    seen = []

    def look(done, _total):
        seen.append(smlp.MLP.load(path).step)
        return done == 5

    net.fit(session, x, y, steps=9, lr=0.1, progress=look, checkpoint=str(path), checkpoint_every=2)
    assert seen == [0, 2, 2, 4, 4]
    assert smlp.MLP.load(path).step == net.step == 5
    options = {"steps": 1, "lr": 0.1, "progress": False}
    with pytest.raises(OSError, match="missing"):
        net.fit(session, x, y, checkpoint=tmp_path / "missing" / "net", **options)
    for wrong in ({"checkpoint": ""}, {"checkpoint": path, "checkpoint_every": 0}):
        with pytest.raises(smlp.InvalidArgumentError):
            net.fit(session, x, y, **wrong, **options)
    assert net.step == 5
