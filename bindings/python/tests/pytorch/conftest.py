"""The drop-in module in all its builds: by ctypes, and the C++ extension built in both ways.

Needs torch, a C++ compiler, ninja, and libsmlp installed under SMLP_PREFIX; `make test-pytorch`
sees to all of it. Nothing is skipped where something is missing.
"""

import importlib
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

# Below SMLP_PREFIX: what is built is what was installed.
SOURCES = "share/smlp/lltm"
BUILDS = ["ctypes", "setup", "jit"]

# As programs of the layout load it, but for where this libsmlp is.
JIT = """
import os, sys
from torch.utils.cpp_extension import load
prefix, folder = os.environ["SMLP_PREFIX"], sys.argv[1]
module = load(name="lltm_cpp", sources=["lltm.cpp"], build_directory=folder,
              extra_include_paths=[f"{prefix}/include"],
              extra_ldflags=[f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib", "-lsmlp"])
module.test()
"""
SETUP = ["setup.py", "-q", "build_ext", "--build-temp", "{}/objects", "--build-lib", "{}"]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folders of both extensions, compiled side by side."""
    assert "SMLP_PREFIX" in os.environ, "set it to where libsmlp is; `make test-pytorch` does"
    folders = {build: tmp_path_factory.mktemp(build) for build in ("setup", "jit")}
    commands = {
        "setup": [part.format(folders["setup"]) for part in SETUP],
        "jit": ["-c", JIT, str(folders["jit"])],
    }
    running = {
        build: subprocess.Popen(
            [sys.executable, *command],
            cwd=Path(os.environ["SMLP_PREFIX"], SOURCES),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for build, command in commands.items()
    }
    for build, process in running.items():
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, f"{build}: {output}"
    return folders


def imported(folder):
    """The extension of that folder, whatever else has its name."""
    found = sys.modules.pop("lltm_cpp", None)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("lltm_cpp")
    finally:
        sys.path.remove(str(folder))
        del sys.modules["lltm_cpp"]
        if found is not None:
            sys.modules["lltm_cpp"] = found


@pytest.fixture(scope="session", params=BUILDS)
def ops(request):
    """The module."""
    if request.param == "ctypes":
        return importlib.import_module("lltm_cpp")
    module = imported(request.getfixturevalue("built")[request.param])
    assert module.__file__.endswith(".so")
    return module


@pytest.fixture(scope="session")
def make_keys(ops):
    """Keys by size, made once a build."""
    known = {}

    def keys(bits):
        if bits not in known:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                known[bits] = ops.pcs_keys(bits)
        return known[bits]

    return keys


@pytest.fixture(params=[30, 2048])
def keys(request, make_keys):
    """A public and a private key."""
    return make_keys(request.param)


@pytest.fixture
def large(make_keys):
    """Keys under which elements are references."""
    return make_keys(512)
