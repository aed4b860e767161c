"""Builds the torch extension ``lltm_cpp`` against an installed libsmlp.

    make install PREFIX=$HOME/.local                   # in the checkout, once
    pip install --no-build-isolation $HOME/.local/share/smlp/lltm

A copy of this folder somewhere else needs SMLP_PREFIX, except where the compiler searches by itself
(/usr/local, for example).
"""

import os

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

here = os.path.dirname(os.path.abspath(__file__))
above = os.path.abspath(os.path.join(here, "..", "..", ".."))
installed = os.path.isfile(os.path.join(above, "include", "smlp.h"))
prefix = os.environ.get("SMLP_PREFIX") or (above if installed else None)

setup(
    name="lltm_cpp",
    version="0.1.0",
    ext_modules=[
        CppExtension(
            "lltm_cpp",
            ["lltm.cpp"],
            include_dirs=[f"{prefix}/include"] if prefix else [],
            library_dirs=[f"{prefix}/lib"] if prefix else [],
            runtime_library_dirs=[f"{prefix}/lib"] if prefix else [],
            libraries=["smlp"],
        )
    ],
    cmdclass={"build_ext": BuildExtension},
)
