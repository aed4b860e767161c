"""smlp.connect against a key server of its own process.

SMLP_COMMAND names the command `smlp`; `make test-net` sets it, and has a library with the network.
"""

import os
import signal
import socket
import subprocess
import time

import numpy as np
import pytest

import smlp
from smlp import _native

COMMAND = os.environ.get("SMLP_COMMAND")

needs_network = pytest.mark.skipif(
    COMMAND is None, reason="SMLP_COMMAND is not set: `make test-net` runs this"
)


def test_without_the_network_connect_says_how_to_get_it():
    if _native.has_network():
        assert COMMAND is not None, "a library with the network is tested by `make test-net`"
        return
    with pytest.raises(smlp.UnsupportedError, match="features net"):
        smlp.connect("localhost:1", authority="a", certificate="b", key="c")


@pytest.fixture
def server(key, tmp_path):
    """A running key server; yields its address and the folder of the client's files."""

    def run(*arguments):
        subprocess.run([COMMAND, *arguments], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)

    run("certificate", "authority", "ca")
    run("certificate", "issue", "--authority", "ca", "--host", "127.0.0.1", "p2")
    run("certificate", "issue", "--authority", "ca", "--host", "p1.test", "p1")
    run("certificate", "issue", "--authority", "ca", "--host", "other.test", "other")
    key.private.save(tmp_path / "owner.private")
    key.public.save(tmp_path / "owner.public")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    (tmp_path / "p2.toml").write_text(
        f"""listen = "{address}"
private_keys = ["owner.private"]
certificate = "p2.pem"
certificate_key = "p2.key"
client_authorities = "ca.pem"
[[clients]]
name = "p1"
certificate = "p1.pem"
keys = ["owner.public"]
"""
    )
    process = subprocess.Popen(
        [COMMAND, "serve", "--allow-insecure", "--config", "p2.toml"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    yield address, tmp_path
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def connect(server, name="p1", **more):
    address, folder = server
    files = {"certificate": folder / f"{name}.pem", "key": folder / f"{name}.key"}
    options = {"authority": folder / "ca.pem", "deadline": 20, **files, **more}
    return smlp.connect(address, **options)


@needs_network
def test_a_session_over_the_network(key, server, rng):
    transport = connect(server)
    assert "NetworkTransport" in repr(transport)
    p1 = smlp.P1(key.public, sigma=40, allow_insecure=True)
    record = smlp.Record()
    session, clear = smlp.Session(p1, transport, record=record), smlp.ClearSession(record)
    values = smlp.encode(rng.normal(0, 9, (3, 3)), fraction_bits=8, bound_bits=20)
    del transport  # the session keeps what it needs
    product = session.divide(session.matmul(values.encrypt(key), values.encrypt(key)), 1000)
    expected = clear.divide(clear.matmul(values, values), 1000)
    np.testing.assert_array_equal(
        product.decrypt_tensor(key.private).integers(), expected.integers()
    )
    assert session.statistics.rounds == 2


@needs_network
def test_the_owner_repeats_a_training_of_the_command(key, rng, tmp_path):
    """Also one that was stopped and resumed: `smlp train --record` and smlp.Record agree."""
    inputs, labels = rng.normal(0, 0.5, (10, 2)), np.eye(2)[rng.integers(0, 2, 10)]
    form = {"fraction_bits": 10, "weight_bits": 14, "activation_bits": 14}
    twin, owner = smlp.MLP([2, 3, 2], **form), smlp.RecordKey.generate()
    for name, data in (("x", inputs), ("y", labels)):
        smlp.encrypt(key, data, 10, 14, packed=True).save(tmp_path / name)
    twin.encrypt(key.public).save(tmp_path / "initial")
    key.private.save(tmp_path / "private")
    key.public.save(tmp_path / "public")
    (tmp_path / "record.public").write_bytes(owner.public)
    train = "train --network initial --inputs x --targets y --key public -o trained --batch-size 4"
    train += " --record record --record-key record.public --p2-key private --allow-insecure"
    for steps in (["--steps", "2"], ["--steps", "5", "--resume"]):
        run = [COMMAND, *train.split(), *steps]
        subprocess.run(run, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    clear = smlp.ClearSession(smlp.Record.read(tmp_path / "record", owner))
    twin.fit(clear, inputs, labels, steps=5, batch_size=4, progress=False)
    trained = smlp.MLP.load(tmp_path / "trained", key.public).decrypt(key.private)
    assert trained.step == 5
    for ours, theirs in zip(twin.weights + twin.biases, trained.weights + trained.biases):
        np.testing.assert_array_equal(ours.integers(), theirs.integers())


@needs_network
def test_refusals(server):
    with pytest.raises(smlp.RefusedError, match="is not listed"):
        connect(server, "other")
    with pytest.raises(smlp.RefusedError, match="somebody else"):
        connect(server, server_name="another.test")
    address, folder = server
    os.chmod(folder / "p1.key", 0o644)
    with pytest.raises(smlp.InsecureError, match="chmod 600"):
        connect(server)
    with pytest.raises(smlp.InvalidArgumentError, match="deadline"):
        connect(server, deadline=0)
    os.chmod(folder / "p1.key", 0o600)
    began = time.monotonic()
    with pytest.raises(smlp.TransportError, match="no answer"):
        connect(("127.0.0.1:1", folder), deadline=0.5)
    assert time.monotonic() - began < 5
    with pytest.raises(smlp.InvalidArgumentError, match="host:port"):
        connect((["https://x:1", address], folder))


@needs_network
def test_a_forked_process_connects_anew(key, server):
    session = smlp.Session(smlp.P1(key.public, sigma=40, allow_insecure=True), connect(server))
    x = smlp.encrypt(key.public, np.array([1, -2]))
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with pytest.raises(smlp.TransportError, match=r"forked .* connect anew"):
                session.relu(x)
            del session
            again = smlp.Session(
                smlp.P1(key.public, sigma=40, allow_insecure=True), connect(server)
            )
            assert list(again.relu(x).decrypt(key.private)) == [1, 0]
            code = 0
        finally:
            os._exit(code)
    assert list(session.relu(x).decrypt(key.private)) == [1, 0]
    assert os.waitpid(pid, 0)[1] == 0
