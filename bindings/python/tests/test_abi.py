"""The table of functions against the header that the library is compiled with."""

import ctypes
import re
from pathlib import Path

import pytest

from smlp import _native, errors

HEADER = Path(__file__).resolve().parents[3] / "include" / "smlp.h"
CALLBACKS = {_native.EXCHANGE: "smlp_exchange_fn", _native.PROGRESS: "smlp_progress_fn"}
# On 64-bit machines ctypes has one class for uint64_t and size_t.
NUMBERS = {
    ctypes.c_uint32: {"uint32_t"},
    ctypes.c_uint64: {"uint64_t", "size_t", "uintptr_t"},
    ctypes.c_int64: {"int64_t"},
    ctypes.c_bool: {"bool"},
    ctypes.c_double: {"double"},
}


def declarations():
    """Name: (result, arguments) of every function in the header, without const and names."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*|^\s*#[^\n]*", " ", HEADER.read_text(), flags=re.S | re.M)
    text = re.sub(r"\b(const|struct|enum)\b|\(\*\s*smlp_\w+_fn\)\([^)]*\)", " ", text)
    found = {}
    for result, name, arguments in re.findall(r"([\w*][\w\s*]*?)\b(smlp_\w+)\s*\(([^()]*)\)", text):
        types = [re.sub(r"\s+|\w+\s*$", "", part) for part in arguments.split(",")]
        if arguments.strip() == "void":
            types = []
        found[name] = (re.sub(r"\s+", "", result), types)
    return found


def fits(ours, theirs):
    """Whether a ctypes argument is what the header says."""
    if ours in CALLBACKS:
        return theirs == CALLBACKS[ours]
    if ours is ctypes.c_void_p:
        return (theirs.endswith("*") and not theirs.endswith("**")) or theirs == "smlp_tensor**"
    if ours is ctypes.c_char_p:
        return theirs == "char*"
    if ours is ctypes.c_int32:
        return theirs in (
            "int32_t",
            "smlp_statistic",
            "smlp_activation",
            "smlp_estimate_item",
            "smlp_key_number",
        )
    if ours in NUMBERS:
        return theirs in NUMBERS[ours]
    target = ours._type_
    if issubclass(target, ctypes.Structure):
        return theirs == f"{target.__name__}*"
    if target is ctypes.c_void_p:
        return theirs == "uint8_t**"
    return theirs.endswith("*") and fits(target, theirs[:-1])


def test_every_declaration_fits():
    header = declarations()
    assert len(header) > 100
    for name, ours in {**_native._STATUS_FUNCTIONS, **_native._NETWORK_FUNCTIONS}.items():
        result, theirs = header[name]
        assert result == "smlp_status", name
        assert len(theirs) == len(ours), name
        for position, (mine, other) in enumerate(zip(ours, theirs)):
            assert fits(mine, other), f"argument {position} of {name}: {mine} for {other}"
    for name, (_, ours) in _native._OTHER_FUNCTIONS.items():
        theirs = header[name][1]
        assert all(map(fits, ours, theirs)), name
        assert len(theirs) == len(ours), name


def test_the_library_has_all_functions_and_those_of_the_network_together():
    missing = {name for name in declarations() if not hasattr(_native.lib, name)}
    with_network = hasattr(_native.lib, "smlp_transport_connect")
    network = {*_native._NETWORK_FUNCTIONS, "smlp_network_options_free"}
    assert missing == (set() if with_network else network)


def test_every_status_has_an_exception():
    statuses = re.search(r"enum smlp_status\b.*?\n \{(.*?)\n\}", HEADER.read_text(), re.S).group(1)
    assert "SMLP_INTERNAL" in statuses
    for name, number in re.findall(r"\bSMLP_([A-Z_]+) = (\d+)", statuses):
        if number != "0":
            error = errors.from_status(int(number), "message")
            words = [word.capitalize() for word in name.split("_")]
            assert type(error).__name__ == "".join(words) + "Error"
            assert (error.status, str(error)) == (int(number), "message")
    assert type(errors.from_status(99, "new")) is errors.SmlpError


@pytest.mark.parametrize(
    "make", [lambda: _native.sizes("x", [-1]), lambda: _native.signed_array("x", [1 << 63])]
)
def test_numbers_are_not_cut(make):
    with pytest.raises(errors.InvalidArgumentError, match="x is"):
        make()


def test_kinds_of_handles_do_not_mix(key):
    with pytest.raises(ctypes.ArgumentError):
        _native.lib.smlp_tensor_neg(key.public._handle, None)


def test_every_function_in_use_is_declared():
    declared = {**_native._STATUS_FUNCTIONS, **_native._OTHER_FUNCTIONS}
    # PEM texts in memory are for other languages; Python reads files.
    declared |= _native._NETWORK_FUNCTIONS
    del declared["smlp_network_options_set_identity"]
    # Python has defaults itself.
    del declared["smlp_p2_new"]
    used = set()
    package = Path(_native.__file__).parent
    for file in [*package.rglob("*.py"), *(package.parent / "lltm_cpp").glob("*.py")]:
        used |= set(re.findall(r"lib\.(smlp_\w+)", file.read_text()))
    assert used == {name for name in declared if name != "smlp_abi_version"}
