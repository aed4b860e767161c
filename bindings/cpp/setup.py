"""Builds the torch extension ``lltm_cpp`` against an installed libsmlp.

    make install PREFIX=$HOME/.local                   # in the checkout, once
    SMLP_PREFIX=$HOME/.local pip install --no-build-isolation bindings/cpp

Without ``SMLP_PREFIX`` the compiler's own folders are searched, /usr/local among them.
"""

import os

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

prefix = os.environ.get("SMLP_PREFIX")

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
