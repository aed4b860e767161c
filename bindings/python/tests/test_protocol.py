"""P1 and P2 without a session, and transports."""

import gc
import queue
import threading
import weakref

import numpy as np
import pytest

import smlp


def finish(call, p2):
    """Carries the messages of a call; the number of rounds."""
    rounds = 1
    while not call.resume(p2.answer(call.request)):
        rounds += 1
    return rounds


def test_calls(key, p1, p2):
    a, b = np.array([[3, -4], [5, 0]]), np.array([[-1, 2], [7, 0]])
    x, y = (smlp.encrypt(key, array, bound_bits=10) for array in (a, b))
    for call, expected in [
        (p1.multiply(x, y), a * b),
        (p1.matmul(x, y), a @ b),
        (p1.relu(x), np.maximum(a, 0)),
        (p1.maximum(x, y), np.maximum(a, b)),
        (p1.refresh(x), a),
        (p1.divide(x, 1), a),
    ]:
        assert isinstance(call.request, bytes)
        assert finish(call, p2) >= 1
        np.testing.assert_array_equal(call.result().decrypt(key.private), expected)
    call = p1.relu(x)
    finish(call, p2)
    slope = call.result(1)
    np.testing.assert_array_equal(slope.decrypt(key.private), a >= 0)
    call = p1.select(slope, y)
    finish(call, p2)
    np.testing.assert_array_equal(call.result().decrypt(key.private), (a >= 0) * b)
    with pytest.raises(smlp.SmlpError):
        call.result(5)


def test_divisions_can_drop_fraction_bits(key, p1, p2):
    call = p1.divide(smlp.encrypt(key, [1.5], fraction_bits=8), 16, scale_drop=4)
    finish(call, p2)
    assert call.result().scale == 4
    assert call.result().decrypt(key.private) == 1.5


def test_a_call_ends(key, p1, p2):
    call = p1.relu(smlp.encrypt(key, [1], bound_bits=8))
    with pytest.raises(smlp.FinishedError):
        call.result()
    reply = p2.answer(call.request)
    with pytest.raises(smlp.SmlpError):
        call.resume(reply[:-1])
    with pytest.raises(smlp.FinishedError):
        call.resume(reply)
    call = p1.relu(smlp.encrypt(key, [1], bound_bits=8))
    finish(call, p2)
    with pytest.raises(smlp.FinishedError):
        call.request


def test_bad_requests(p2):
    for request in (b"", b"SMLP", b"x" * 1000):
        with pytest.raises(smlp.SmlpError):
            p2.answer(request)
    with pytest.raises(TypeError):
        p2.answer(17)


def test_p2_of_another_key(key, other_key, p1):
    call = p1.relu(smlp.encrypt(key, [1], bound_bits=8))
    with pytest.raises(smlp.KeyMismatchError):
        smlp.P2(other_key.private).answer(call.request)


def test_clients_of_p2(key, p2):
    p1 = smlp.P1(key.public)
    x = smlp.encrypt(key, [1, -2], bound_bits=8)
    call = p1.relu(x)
    # P2's seeds for this client's comparisons come back sealed.
    call.resume(p2.answer(call.request, client=b"one"))
    for other in (b"two", b""):
        with pytest.raises(smlp.MalformedError, match="another job or client"):
            p2.answer(call.request, client=other)
    while not call.resume(p2.answer(call.request, client=b"one")):
        pass
    assert call.result().decrypt(key.private).tolist() == [1, 0]


def test_refreshing_packs(key, p1, p2):
    x = smlp.encrypt(key, [[1, -2, 3]], bound_bits=8, packed=True)
    call = p1.refresh(x)
    assert call.resume(p2.answer(call.request))
    assert call.result().decrypt(key.private).tolist() == [[1, -2, 3]]


class Counting(smlp.Transport):
    def __init__(self, p2):
        self.p2, self.count = p2, 0

    def exchange(self, request):
        self.count += 1
        assert isinstance(request, bytes)
        return self.p2.answer(request)


def test_transports(key, p1, p2):
    x = smlp.encrypt(key, [1, -2], bound_bits=8)
    transport = Counting(p2)
    for peer in (p2, transport, p2.answer, lambda request: bytearray(p2.answer(request))):
        session = smlp.Session(p1, peer)
        assert session.refresh(x).decrypt(key.private).tolist() == [1, -2]
        assert session.statistics.rounds == 1
    assert transport.count == 1
    for bad in (None, 3, "peer"):
        with pytest.raises(smlp.UnsupportedError, match="callable"):
            smlp.Session(p1, bad)
    with pytest.raises(smlp.UnsupportedError, match="P1"):
        smlp.Session(p2, p2)


def test_exceptions_come_back(key, p1):
    x = smlp.encrypt(key, [1], bound_bits=8)
    original = TimeoutError("nobody there")

    def failing(_request):
        raise original

    session = smlp.Session(p1, failing)
    for _ in range(2):
        with pytest.raises(smlp.TransportError, match="nobody there") as caught:
            session.relu(x)
        assert caught.value.__cause__ is original
        assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("answer", [None, "text", 7, [1]])
def test_wrong_answers_are_errors(key, p1, answer):
    session = smlp.Session(p1, lambda _request: answer)
    with pytest.raises(smlp.TransportError) as caught:
        session.relu(smlp.encrypt(key, [1], bound_bits=8))
    assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("answer", [b"", b"garbage"])
def test_malformed_replies_are_errors(key, p1, answer):
    session = smlp.Session(p1, lambda _request: answer)
    with pytest.raises(smlp.SmlpError):
        session.relu(smlp.encrypt(key, [1], bound_bits=8))


def test_refusals_of_p2_arrive(key, other_key, p1):
    session = smlp.Session(p1, smlp.P2(other_key.private))
    with pytest.raises(smlp.SmlpError):
        session.relu(smlp.encrypt(key, [1], bound_bits=8))


def test_interrupts_pass_through(key, p1):
    def interrupted(_request):
        raise KeyboardInterrupt

    session = smlp.Session(p1, interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.relu(smlp.encrypt(key, [1], bound_bits=8))


def test_lifetimes(key):
    """A session keeps what it needs, and lets go of it."""
    p2 = smlp.P2(key.private)
    transport = Counting(p2)
    gone = weakref.ref(transport)
    session = smlp.Session(smlp.P1(key.public, sigma=40, allow_insecure=True), transport)
    del transport, p2
    gc.collect()
    x = smlp.encrypt(key, [[1, -2]], bound_bits=8)
    view = x[0]
    del x
    gc.collect()
    assert session.relu(view).decrypt(key.private).tolist() == [1, 0]
    del session
    gc.collect()
    assert gone() is None


def test_threads(key, p1, p2):
    """One session, one tensor, several threads; each sees its own errors."""
    session = smlp.Session(p1, p2.answer)
    x = smlp.encrypt(key, np.arange(6).reshape(2, 3), bound_bits=8)

    def work(number):
        if number % 3 == 2:
            with pytest.raises(smlp.ShapeError, match=r"shape"):
                session.matmul(x, x)
            return True
        result = session.matmul(x, x.T) if number % 3 else session.multiply(x, x)
        return result.decrypt(key.private).sum() > 0

    in_threads(work, 12)


def in_threads(work, count):
    """Calls work(0), work(1), ... at once; a deadlock fails the test instead of holding it up."""
    done = queue.Queue()

    def report(number):
        try:
            done.put(work(number) or None)
        except BaseException as error:
            done.put(error)

    for number in range(count):
        threading.Thread(target=report, args=(number,), daemon=True).start()
    assert [done.get(timeout=60) for _ in range(count)] == [True] * count


def test_exceptions_stay_in_their_thread(key, p1, p2):
    gate = threading.Barrier(2, timeout=60)

    def sometimes(request):
        gate.wait()
        if threading.current_thread().name == "bad":
            raise ValueError("only here")
        return p2.answer(request)

    session = smlp.Session(p1, sometimes)
    x = smlp.encrypt(key, [5], bound_bits=8)
    results = {}

    def work():
        name = threading.current_thread().name
        try:
            results[name] = session.refresh(x).decrypt(key.private).tolist()
        except smlp.TransportError as error:
            results[name] = repr(error.__cause__)

    threads = [threading.Thread(target=work, name=name) for name in ("good", "bad")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"good": [5], "bad": "ValueError('only here')"}


def test_p2_takes_no_more_memory_than_it_may(key, p1):
    column = smlp.encrypt(key.public, np.ones((200, 1), dtype=np.int64))
    call = p1.multiply(column, column.reshape(1, 200))
    small = smlp.P2(key.private, reply_bytes=1_000_000)
    with pytest.raises(smlp.LimitError, match=r"reply_bytes.*5120090.*1000000"):
        small.answer(call.request)
    busy = smlp.P2(key.private, working_bytes=10_000_000)
    with pytest.raises(smlp.LimitError, match=r"working_bytes.*10000000"):
        busy.answer(call.request)
    assert call.resume(smlp.P2(key.private).answer(call.request))
    with pytest.raises(smlp.InvalidArgumentError, match="0 bytes"):
        smlp.P2(key.private, reply_bytes=0)
