"""The examples, as a user starts them."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PACKAGE = Path(__file__).resolve().parents[1] / "src"


def run(*command):
    path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_three_processes():
    toy = ["--bits", "512", "--insecure", "--sigma", "40"]
    result = run(EXAMPLES / "two_processes" / "run.py", *toy, "--samples", "8", "--steps", "3")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "weights equal the clear twin's: True" in result.stdout


def test_private_keys_need_the_right_folder(tmp_path):
    """P1's program cannot start where there is no public key, and asks for no other."""
    result = run(EXAMPLES / "two_processes" / "p1_train.py", tmp_path, tmp_path / "socket")
    assert result.returncode != 0
    assert "public.key" in result.stderr


def test_without_a_library(tmp_path):
    result = run("-c", f"import os; os.environ['SMLP_LIBRARY'] = {str(tmp_path)!r}; import smlp")
    assert result.returncode != 0
    assert "cannot be loaded as libsmlp" in result.stderr
