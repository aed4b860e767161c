"""Records, in memory and in files; and that networks hold nothing that rounding comes from."""

import copy
import pickle
import stat

import numpy as np
import pytest

import smlp

FORMAT = {"fraction_bits": 10, "bound_bits": 15}
NETWORK = {"fraction_bits": 10, "weight_bits": 15, "activation_bits": 15}
OPTIONS = {"batch_size": 4, "lr": 0.5, "progress": False}


@pytest.fixture
def rows(rng):
    return rng.normal(0, 0.5, (12, 2)), np.eye(2)[rng.integers(0, 2, 12)]


@pytest.fixture
def encrypted(key, rows):
    return tuple(smlp.encrypt(key, array, **FORMAT) for array in rows)


@pytest.fixture
def owner():
    return smlp.RecordKey.generate()


@pytest.fixture
def twin():
    return smlp.MLP([2, 4, 2], **NETWORK)


def integers(net):
    return [tensor.integers().tolist() for tensor in net.weights + net.biases]


def test_a_record_counts_completed_calls(key, twin, session, rows, encrypted):
    record, net = session.record, twin.encrypt(key.public)
    assert len(record) == 0
    net.fit(session, *encrypted, **OPTIONS)
    net.predict(session, encrypted[0])
    session.divide(encrypted[0], 3)
    assert len(record) == 5
    with pytest.raises(smlp.InvalidArgumentError):
        session.divide(encrypted[0], 0)
    with pytest.raises(smlp.ShapeError):
        net.predict(session, encrypted[0].T)
    assert len(record) == 5
    assert repr(record) == "<smlp.Record of 5 calls>"
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(record)


def test_only_what_was_recorded_is_repeated(key, twin, session, rows, encrypted):
    twin.encrypt(key.public).fit(session, *encrypted, **OPTIONS)
    x, y = rows
    clear = smlp.ClearSession(session.record)
    for wrong, message in [
        ({"lr": 0.25}, "step 0 with learning rate 0.5"),
        ({"batch_size": 3}, "on the rows"),
        ({"shuffle_seed": 1}, "on the rows"),
    ]:
        with pytest.raises(smlp.InvalidArgumentError, match=message):
            twin.fit(clear, x, y, **{**OPTIONS, **wrong})
    assert twin.step == 0
    with pytest.raises(smlp.InvalidArgumentError, match="3 steps up to number 2"):
        twin.fit(clear, x, y, **OPTIONS, steps=4)
    assert twin.step == 3
    with pytest.raises(smlp.InvalidArgumentError, match="0 predictions"):
        twin.predict(clear, x)
    with pytest.raises(smlp.InvalidArgumentError, match="0 divisions"):
        clear.divide(smlp.encode(x, **FORMAT), 3)


def test_only_the_owner_reads_a_file(key, p1, p2, twin, owner, rows, encrypted, tmp_path):
    path, net = tmp_path / "training.record", twin.encrypt(key.public)
    for session_number in (0, 1):
        # Each session goes on with the file that the one before has left.
        record = smlp.RecordFile(path, owner.public)
        assert len(record) == 3 * session_number
        session = smlp.Session(p1, p2, record=record)
        assert session.record is record
        net.fit(session, *encrypted, **OPTIONS)
        assert len(record) == 3 * session_number + 3
        with pytest.raises(OSError, match="another session"):
            smlp.RecordFile(path, owner.public)
        with pytest.raises(smlp.UnsupportedError, match=r"Record\.read"):
            smlp.ClearSession(record)
        del record
        with pytest.raises(OSError, match="another session"):
            smlp.RecordFile(path, owner.public)
        del session
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    twin.fit(smlp.ClearSession(smlp.Record.read(path, owner)), *rows, epochs=2, **OPTIONS)
    assert integers(twin) == integers(net.decrypt(key.private))

    other = smlp.RecordKey.generate()
    with pytest.raises(smlp.InvalidArgumentError, match="another record key"):
        smlp.Record.read(path, other)
    with pytest.raises(smlp.InvalidArgumentError, match="another record key"):
        smlp.RecordFile(path, other.public)
    with pytest.raises(smlp.UnsupportedError, match="RecordKey"):
        smlp.Record.read(path, owner.public)
    with pytest.raises(OSError, match="none"):
        smlp.Record.read(tmp_path / "none", owner)
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(smlp.MalformedError, match="line 5"):
        smlp.Record.read(path, owner)
    # What a crash leaves of a line does not count.
    path.write_bytes(changed[:-1])
    assert len(smlp.Record.read(path, owner)) == 5
    assert len(smlp.RecordFile(path, owner.public)) == 5


def test_record_keys(owner, tmp_path):
    path = tmp_path / "owner.record"
    owner.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert smlp.RecordKey.load(path).public == owner.public != smlp.RecordKey.generate().public
    with pytest.raises(OSError, match="exist"):
        owner.save(path)
    with pytest.raises(smlp.MalformedError):
        smlp.RecordFile(tmp_path / "record", owner.public[:-1])
    # Another kind of file is left as it is, also a short one.
    before = path.read_bytes()
    with pytest.raises(smlp.MalformedError):
        smlp.RecordFile(path, owner.public)
    assert path.read_bytes() == before
    path.chmod(0o644)
    with pytest.raises(smlp.InsecureError):
        smlp.RecordKey.load(path)
    with pytest.raises(smlp.MalformedError):
        path.chmod(0o600)
        path.write_bytes(owner.public)
        smlp.RecordKey.load(path)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(owner)
    assert "public" not in repr(owner)


def shared(left, right, key):
    """Runs of 32 bytes that look random and are in both, the id of the key apart."""
    left, right = (data.replace(bytes.fromhex(key.id), bytes(32)) for data in (left, right))
    windows = {left[at : at + 32] for at in range(len(left) - 31)}
    runs = (right[at : at + 32] for at in range(len(right) - 31))
    return [run for run in runs if run in windows and len(set(run)) > 16]


def test_networks_share_nothing_secret(key, twin):
    """P1's checkpoint and the decrypted model, two encryptions, an encryption and another draw."""
    net = twin.encrypt(key.public)
    assert shared(net.to_bytes(), net.decrypt(key.private).to_bytes(), key.public) == []
    assert shared(net.to_bytes(), twin.encrypt(key.public).to_bytes(), key.public) == []
    first, second = (smlp.MLP([2, 4, 2], seed=5, **NETWORK) for _ in range(2))
    assert integers(first) == integers(second)
    assert shared(first.encrypt(key.public).to_bytes(), second.to_bytes(), key.public) == []
    # It would be seen.
    assert shared(net.to_bytes(), copy.copy(net).to_bytes(), key.public)


def test_each_load_and_each_call_rounds_anew(key, twin, session, encrypted):
    data = twin.encrypt(key.public).to_bytes()
    nets = [smlp.MLP.from_bytes(data, key.public) for _ in range(2)]
    outputs = [
        net.predict(session, encrypted[0]).decrypt_tensor(key.private).integers()
        for net in (*nets, nets[0])
    ]
    for one, other in [(0, 1), (1, 2), (0, 2)]:
        apart = np.abs(outputs[one] - outputs[other])
        assert 0 < apart.max() <= 20
    # The twin repeats each of them.
    clear = smlp.ClearSession(session.record)
    x = encrypted[0].decrypt_tensor(key.private)
    for output in outputs:
        np.testing.assert_array_equal(twin.predict(clear, x).integers(), output)
