"""Networks: encrypted ones equal their twins, integer for integer."""

import copy
import os
import signal
import stat
import threading

import numpy as np
import pytest

import smlp

FORMAT = {"fraction_bits": 10, "bound_bits": 15}
NETWORK = {"fraction_bits": 10, "weight_bits": 15, "activation_bits": 15, "seed": 3}


def xor(count, seed=0):
    inputs = np.random.default_rng(seed).integers(0, 2, (count, 2))
    return inputs.astype(float), np.eye(2)[inputs[:, 0] ^ inputs[:, 1]]


@pytest.fixture(scope="module")
def data(key):
    inputs, labels = xor(12)
    return smlp.encrypt(key, inputs, **FORMAT), smlp.encrypt(key, labels, **FORMAT)


@pytest.fixture
def net(key):
    return smlp.MLP([2, 4, 2], ["relu", "linear"], key=key.public, **NETWORK)


@pytest.fixture
def twin():
    return smlp.MLP([2, 4, 2], **NETWORK)


def integers(net, private=None):
    if net.is_encrypted:
        net = net.decrypt(private)
    return [tensor.integers().tolist() for tensor in net.weights + net.biases]


def test_what_it_is(net, twin):
    assert net.is_encrypted
    assert not twin.is_encrypted
    for network in (net, twin):
        assert (network.layers, network.step, network.fraction_bits) == ((2, 4, 2), 0, 10)
        assert [weight.shape for weight in network.weights] == [(2, 4), (4, 2)]
        assert [bias.shape for bias in network.biases] == [(4,), (2,)]
        assert network.weights[0].scale == 10
    assert repr(net) == "<smlp.MLP 2-4-2, encrypted, step 0>"
    assert repr(twin) == "<smlp.MLP 2-4-2, clear, step 0>"


def test_seeds(key, net, twin):
    assert integers(net, key.private) == integers(twin)
    assert integers(smlp.MLP([2, 4, 2], **{**NETWORK, "seed": 4})) != integers(twin)
    assert integers(smlp.MLP([2, 4, 2])) != integers(smlp.MLP([2, 4, 2]))


def test_prediction(key, net, session):
    inputs, _ = xor(5)
    twin = net.decrypt(key.private)
    outputs = net.predict(session, smlp.encrypt(key, inputs, **FORMAT))
    assert outputs.shape == (5, 2)
    clear = twin.predict(smlp.ClearSession(session.record), inputs)
    np.testing.assert_array_equal(outputs.decrypt(key.private), clear.numpy())
    own = twin.predict(smlp.ClearSession(), inputs)
    np.testing.assert_allclose(own.numpy(), clear.numpy(), atol=0.02)
    (w1, w2), (b1, b2) = ([t.numpy() for t in part] for part in (twin.weights, twin.biases))
    exact = np.maximum(inputs @ w1 + b1, 0) @ w2 + b2
    np.testing.assert_allclose(clear.numpy(), exact, atol=0.02)


def test_training_equals_the_twin(key, net, session, data):
    twin, clear = net.decrypt(key.private), smlp.ClearSession(session.record)
    inputs, labels = xor(12)
    for step in range(1, 4):
        batch = slice(4 * step - 4, 4 * step)
        net.train_step(session, data[0][batch], data[1][batch], lr=0.5)
        twin.train_step(clear, inputs[batch], labels[batch], lr=0.5)
        assert net.step == twin.step == step
        assert integers(net, key.private) == integers(twin)
    options = {"epochs": 2, "batch_size": 5, "lr": 0.25, "shuffle_seed": 9, "progress": False}
    net.fit(session, *data, **options)
    twin.fit(clear, inputs, labels, **options)
    assert net.step == twin.step > 3
    assert integers(net, key.private) == integers(twin)
    first = integers(smlp.MLP([2, 4, 2], **NETWORK))
    assert integers(twin) != first


def test_a_twin_learns():
    inputs, labels = xor(200)
    twin, session = smlp.MLP([2, 10, 2], **NETWORK), smlp.ClearSession()
    twin.fit(session, inputs, labels, epochs=10, batch_size=20, lr=0.25, progress=False)
    assert twin.evaluate(session, inputs, labels) == 1.0


def test_evaluation(key, net, session, data):
    _, labels = xor(12)
    accuracy = net.evaluate(session, data[0], labels, key.private)
    clear = smlp.ClearSession(session.record)
    outputs = net.decrypt(key.private).predict(clear, xor(12)[0]).numpy()
    assert accuracy == np.mean(outputs.argmax(1) == labels.argmax(1))
    with pytest.raises(smlp.SmlpError):
        net.evaluate(session, data[0], labels)
    with pytest.raises(smlp.UnsupportedError, match="PrivateKey"):
        net.evaluate(session, data[0], labels, key.public)


def test_checkpoints(key, net, session, data, tmp_path):
    first = net.decrypt(key.private)
    options = {"batch_size": 4, "lr": 0.5, "progress": False}
    net.fit(session, *data, steps=2, **options)
    path = tmp_path / "net"
    net.save(path)
    net.save(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    resumed = smlp.MLP.load(path, key.public)
    copied = smlp.MLP.from_bytes(net.to_bytes(), key.public)
    assert resumed.step == copied.step == 2
    assert integers(resumed, key.private) == integers(copied, key.private)
    # Of a step that is done again the last line of the record counts.
    for network in (net, resumed):
        network.fit(session, *data, steps=2, **options)
        twin = copy.copy(first)
        twin.fit(smlp.ClearSession(session.record), *xor(12), steps=4, **options)
        assert integers(network, key.private) == integers(twin)
    assert integers(net, key.private) != integers(resumed, key.private)
    clear = smlp.MLP.from_bytes(twin.to_bytes())
    assert integers(clear) == integers(twin)
    assert clear.step == 4
    assert integers(clear.encrypt(key.public), key.private) == integers(twin)
    for bad in (b"", twin.to_bytes()[:-1], b"x" + twin.to_bytes()):
        with pytest.raises(smlp.MalformedError):
            smlp.MLP.from_bytes(bad)
    with pytest.raises(smlp.SmlpError):
        smlp.MLP.load(path)


def test_copies_train_alone(twin):
    other, third = copy.copy(twin), copy.deepcopy(twin)
    other.fit(smlp.ClearSession(), *xor(12), batch_size=4, lr=0.5, progress=False)
    assert integers(twin) == integers(third) != integers(other)


def test_refusals(key, net, twin, session, data):
    clear = smlp.ClearSession()
    inputs, labels = xor(12)
    with pytest.raises(smlp.UnsupportedError, match=r"smlp\.encrypt"):
        net.predict(session, inputs)
    with pytest.raises(smlp.UnsupportedError, match="session"):
        net.predict(twin, data[0])
    with pytest.raises(smlp.SmlpError):
        net.predict(clear, data[0])
    with pytest.raises(smlp.SmlpError):
        twin.predict(session, inputs)
    with pytest.raises(smlp.ScaleError):
        net.predict(session, smlp.encrypt(key, inputs))
    with pytest.raises(smlp.ShapeError):
        twin.predict(clear, inputs[:, :1])
    with pytest.raises(smlp.ShapeError):
        twin.train_step(clear, inputs, labels[:5])
    for lr in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(smlp.InvalidArgumentError):
            twin.train_step(clear, inputs, labels, lr=lr)
    for options in ({"epochs": -1}, {"batch_size": 0}, {"batch_size": -1}, {"steps": -5}):
        with pytest.raises(smlp.InvalidArgumentError):
            twin.fit(clear, inputs, labels, progress=False, **options)
    assert twin.step == 0


@pytest.mark.parametrize(
    ("layers", "options"),
    [
        ([2], {}),
        ([], {}),
        ([2, 0, 2], {}),
        ([2, -3, 2], {}),
        ([2, 4, 2], {"activations": ["relu"]}),
        ([2, 4, 2], {"activations": ["relu", "tanh"]}),
        ([2, 4, 2], {"fraction_bits": 200}),
        ([2, 4, 2], {"weight_bits": 0}),
        ([2, 4, 2], {"seed": -1}),
    ],
)
def test_bad_networks(layers, options):
    with pytest.raises(ValueError, match=r".+"):
        smlp.MLP(layers, **options)


def test_outgrown_bounds_are_found():
    """The twin checks what encryption has to take on trust."""
    inputs, labels = xor(12)
    twin = smlp.MLP([2, 4, 2], **{**NETWORK, "weight_bits": 12})
    with pytest.raises(smlp.SmlpError, match=r"bound|range"):
        twin.fit(smlp.ClearSession(), inputs, 15 * labels, lr=2.0, steps=50, progress=False)


def test_progress(twin, capsys):
    clear, (inputs, labels) = smlp.ClearSession(), xor(12)
    seen = []
    twin.fit(clear, inputs, labels, batch_size=4, lr=0.5, progress=lambda *now: seen.append(now))
    assert seen[-1] == (3, 3)
    assert [done for done, _ in seen][-3:] == [1, 2, 3]
    twin.fit(clear, inputs, labels, batch_size=4, lr=0.5)
    assert "3/3" in capsys.readouterr().err
    before = twin.step
    twin.fit(clear, inputs, labels, steps=5, lr=0.5, progress=lambda done, _total: done >= 2)
    assert twin.step == before + 2

    def failing(_done, _total):
        raise LookupError("in progress")

    with pytest.raises(LookupError, match="in progress"):
        twin.fit(clear, inputs, labels, lr=0.5, progress=failing)
    assert twin.step in (before + 2, before + 3)


def test_a_network_is_not_used_from_its_callback(twin):
    def meddling(_done, _total):
        return twin.step > 0

    with pytest.raises(smlp.FinishedError, match="busy"):
        twin.fit(smlp.ClearSession(), *xor(12), lr=0.5, progress=meddling)


def test_ctrl_c_keeps_finished_steps(key, net, session, data):
    def pressed(done, _total):
        if done == 2:
            signal.raise_signal(signal.SIGINT)

    twin = net.decrypt(key.private)
    options = {"batch_size": 4, "lr": 0.5}
    with pytest.raises(KeyboardInterrupt):
        net.fit(session, *data, epochs=5, progress=pressed, **options)
    assert net.step == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    net.fit(session, *data, steps=1, progress=False, **options)
    clear = smlp.ClearSession(session.record)
    twin.fit(clear, *xor(12), steps=3, progress=False, **options)
    assert integers(net, key.private) == integers(twin)


def test_ctrl_c_at_any_time(twin):
    """From outside, while the library is at work."""
    inputs, labels = xor(12)
    pid = os.getpid()
    timer = threading.Timer(0.3, lambda: os.kill(pid, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        twin.fit(smlp.ClearSession(), inputs, labels, steps=1_000_000, lr=0.01, progress=False)
    timer.join()
    assert 0 < twin.step < 1_000_000


def test_transport_errors_end_training(key, net, p1, p2, data):
    left = 5

    def unstable(request):
        nonlocal left
        left -= 1
        if left < 0:
            raise ConnectionResetError("gone")
        return p2.answer(request)

    with pytest.raises(smlp.TransportError, match="gone") as caught:
        net.fit(smlp.Session(p1, unstable), *data, batch_size=4, lr=0.5, progress=False)
    assert isinstance(caught.value.__cause__, ConnectionResetError)


def test_threads_take_turns(twin):
    clear, (inputs, labels) = smlp.ClearSession(), xor(12)
    errors = []

    def work():
        try:
            for _ in range(20):
                twin.train_step(clear, inputs, labels, lr=0.1)
                twin.predict(clear, inputs)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert twin.step == 80
