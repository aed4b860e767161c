"""Every view against numpy, on encrypted and clear tensors."""

import copy

import numpy as np
import pytest

import smlp


@pytest.fixture(params=["clear", "encrypted"])
def made(request, key):
    """Makes a tensor of integers and opens one."""
    if request.param == "clear":
        return smlp.encode, lambda tensor: tensor.numpy()
    return (
        lambda array: smlp.encrypt(key, array),
        lambda tensor: tensor.decrypt(key.private),
    )


KEYS = [
    0,
    -1,
    np.int32(1),
    slice(None),
    slice(1, 3),
    slice(None, None, -1),
    slice(-1, 0, -2),
    slice(5, 2),
    slice(100, -100, -3),
    (1, 2),
    (0, -1, 1),
    (slice(None), 1),
    (Ellipsis, 0),
    (0, Ellipsis, slice(None, None, -2)),
    (Ellipsis,),
    (),
    None,
    (None, 1, None, slice(2), None),
    (Ellipsis, None),
    [0, 2, 2],
    np.array([-1, 0]),
    (slice(None), [3, 0, 1]),
    (slice(None), [3, 0, 1], 1),
    (0, [1, 1]),
    (slice(1), Ellipsis, [1, 0]),
    np.array([[0, 1], [2, 2]]),
    (slice(None), np.array([[0, 1], [2, 2]])),
    [],
    np.array([True, False, True]),
    (slice(None), np.array([True, False, False, True])),
    [False, False, False],
]


@pytest.mark.parametrize("index", KEYS, ids=repr)
def test_indexing(made, index):
    make, opened = made
    array = np.arange(24).reshape(3, 4, 2) - 11
    result = make(array)[index]
    assert result.shape == array[index].shape
    np.testing.assert_array_equal(opened(result), array[index])


def test_masks_of_several_axes(made, rng):
    make, opened = made
    array = np.arange(24).reshape(3, 4, 2)
    x = make(array)
    for mask in (array > 7, rng.integers(0, 2, (3, 4)) > 0):
        np.testing.assert_array_equal(opened(x[mask]), array[mask])


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (3, IndexError),
        (-4, IndexError),
        ((0, 0, 0, 0), IndexError),
        ((Ellipsis, Ellipsis), IndexError),
        ([0, 3], IndexError),
        ([-4], IndexError),
        (np.array([True, False]), IndexError),
        (np.ones((3, 3), bool), IndexError),
        ("x", TypeError),
        (1.0, TypeError),
        ([0.5], TypeError),
        (True, TypeError),
        (([0], [1]), TypeError),
        ((0, slice(None), [1]), TypeError),
    ],
)
def test_bad_indices(made, index, error):
    with pytest.raises(error):
        made[0](np.zeros((3, 4, 2), int))[index]


def test_assignment_is_refused(made):
    with pytest.raises(TypeError):
        made[0]([1, 2])[0] = 3


def test_random_chains(made, rng):
    make, opened = made
    for _ in range(25):
        shape = tuple(rng.integers(1, 5, rng.integers(1, 5)))
        array = rng.integers(-99, 99, shape)
        x = make(array)
        for _ in range(3):
            axis = int(rng.integers(-array.ndim, array.ndim)) if array.ndim else 0
            choice = rng.integers(6)
            if choice == 0:
                order = rng.permutation(array.ndim).tolist()
                x, array = x.permute(*order), array.transpose(order)
            elif choice == 1:
                x, array = x.T, array.T
            elif choice == 2:
                x, array = x.reshape(array.shape[::-1]), array.reshape(array.shape[::-1])
            elif choice == 3 and array.ndim:
                step = int(rng.choice([-2, -1, 1, 2]))
                key = [slice(None)] * array.ndim
                key[axis] = slice(None, None, step)
                x, array = x[tuple(key)], array[tuple(key)]
            elif choice == 4 and array.ndim < 6:
                x, array = x.unsqueeze(0), array[None]
            elif array.ndim:
                places = rng.integers(0, array.shape[axis], 2)
                key = [slice(None)] * array.ndim
                key[axis] = places
                x, array = x[tuple(key)], array[tuple(key)]
        assert x.shape == array.shape
        np.testing.assert_array_equal(opened(x), array)


def test_shapes(made):
    make, opened = made
    array = np.arange(6).reshape(1, 2, 3, 1)
    x = make(array)
    for result, expected in [
        (x.reshape(3, -1), array.reshape(3, -1)),
        (x.reshape((6,)), array.ravel()),
        (x.flatten(), array.ravel()),
        (x.squeeze(), array.squeeze()),
        (x.squeeze(0), array.squeeze(0)),
        (x.squeeze(-1), array.squeeze(-1)),
        (x.unsqueeze(-1), array[..., None]),
        (x.transpose(), array.T),
        (x.transpose(1, 0, 2, 3), array.transpose(1, 0, 2, 3)),
        (x.permute((3, 2, -4, 1)), array.transpose(3, 2, 0, 1)),
        (x.broadcast_to(4, 2, 3, 5), np.broadcast_to(array, (4, 2, 3, 5))),
        (x[0, 0].repeat(2, 1, 3), np.tile(array[0, 0], (2, 1, 3))),
        (make(7).reshape(1, 1), np.array([[7]])),
        (make(7).repeat(3), np.array([7, 7, 7])),
    ]:
        assert result.shape == expected.shape
        np.testing.assert_array_equal(opened(result), expected)


def test_bad_shapes(made):
    x = made[0](np.zeros((2, 3), int))
    for call in (
        lambda: x.reshape(4),
        lambda: x.reshape(-1, -1),
        lambda: x.permute(0),
        lambda: x.permute(0, 0),
        lambda: x.squeeze(0),
        lambda: x.squeeze(5),
        lambda: x.unsqueeze(4),
        lambda: x.broadcast_to(2, 4),
        lambda: x.broadcast_to(-1, 3),
        lambda: x.repeat(2),
        lambda: x.reshape(1 << 70),
    ):
        with pytest.raises(ValueError, match=r".+"):
            call()


def test_joining(made, key, other_key):
    make, opened = made
    a, b = np.arange(6).reshape(2, 3), -np.arange(6).reshape(2, 3)
    x, y = make(a), make(b)
    np.testing.assert_array_equal(opened(smlp.concatenate([x, y])), np.concatenate([a, b]))
    joined = smlp.concatenate([x, y[:, ::-1], x[:, :1]], axis=-1)
    np.testing.assert_array_equal(
        opened(joined), np.concatenate([a, b[:, ::-1], a[:, :1]], axis=-1)
    )
    np.testing.assert_array_equal(opened(smlp.stack([x, y], axis=1)), np.stack([a, b], axis=1))
    with pytest.raises(smlp.SmlpError):
        smlp.concatenate([])
    with pytest.raises(smlp.ShapeError):
        smlp.stack([x, x.T])
    with pytest.raises(smlp.UnsupportedError, match="ndarray"):
        smlp.stack([x, a])
    with pytest.raises(smlp.SmlpError):
        smlp.concatenate([smlp.encrypt(key, a), smlp.encrypt(other_key, a)])


def test_iteration_and_copies(made):
    make, opened = made
    array = np.arange(6).reshape(3, 2)
    x = make(array)
    assert [opened(row).tolist() for row in x] == array.tolist()
    for same in (copy.copy(x), copy.deepcopy(x)):
        np.testing.assert_array_equal(opened(same), array)
    with pytest.raises(TypeError):
        len(make(1))
    with pytest.raises(TypeError):
        iter(make(1)).__next__()


def test_repr_shows_no_values(made):
    x = made[0]([123456789])
    assert "shape (1,), scale 0, bound 56" in repr(x)
    assert "123456789" not in repr(x)
