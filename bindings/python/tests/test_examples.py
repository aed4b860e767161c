"""The examples, as a user starts them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PACKAGE = Path(__file__).resolve().parents[1] / "src"


def run(*command, **variables):
    path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, **variables}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_three_processes():
    toy = ["--bits", "512", "--insecure"]
    result = run(EXAMPLES / "two_processes" / "run.py", *toy, "--samples", "8", "--steps", "3")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "weights equal the clear twin's: True" in result.stdout


def test_quickstart_at_a_real_key_size():
    result = run(EXAMPLES / "quickstart.py")
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(result.stdout.splitlines()) == 40


def test_the_demo_draws_and_checks_itself(tmp_path):
    picture = tmp_path / "demo.png"
    small = ["--samples", "8", "--batch", "8", "--epochs", "2", "--sigma", "40"]
    result = run(EXAMPLES / "xor_demo.py", *small, "--output", picture)
    assert "weights equal the twin's  yes, every integer" in result.stdout, result.stderr
    # Two steps learn nothing: the demo says so by its exit code.
    assert result.returncode == 1
    assert picture.stat().st_size > 10_000


@pytest.mark.parametrize(("task", "steps"), [("breast_cancer", 3), ("digits", 2)])
def test_real_data(task, steps, tmp_path):
    """The first steps, stopped and resumed: the same integers as the twin, the floats' accuracy."""
    picture = tmp_path / "picture.png"
    options = ["--checkpoint", tmp_path / "net.smlp", "--out", picture]
    for last in (steps - 1, steps):
        result = run(EXAMPLES / f"{task}.py", *options, "--limit-steps", last)
        assert "weights equal the clear twin's: yes, every integer" in result.stdout, result.stderr
        assert result.returncode == 0, result.stdout
        # What packing saves.
        assert float(re.search(r" 1/([\d.]+)$", result.stdout, re.MULTILINE)[1]) > 10
        assert picture.stat().st_size > 10_000
    assert f"going on after step {steps - 1}" in result.stdout


def test_a_backend_that_is_not_there_is_refused():
    result = run("-c", "import smlp; smlp.keygen(2048)", SMLP_BACKEND="abacus")
    assert result.returncode != 0
    assert "SMLP_BACKEND is 'abacus'" in result.stderr
    assert "gmp" in result.stderr
    run("-c", "import smlp; assert smlp.backend() == 'gmp'", SMLP_BACKEND="gmp").check_returncode()


def test_the_installed_wheel_works_outside_the_checkout(tmp_path):
    script = "import smlp; print(smlp.__file__, smlp.encrypt(smlp.keygen(2048), [1.5]).shape)"
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SMLP_LIBRARY")}
    command = [sys.executable, "-c", script]
    output = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "site-packages" in output
    assert "(1,)" in output


def test_private_keys_need_the_right_folder(tmp_path):
    """P1's program cannot start where there is no public key, and asks for no other."""
    result = run(EXAMPLES / "two_processes" / "p1_train.py", tmp_path, tmp_path / "socket")
    assert result.returncode != 0
    assert "public.key" in result.stderr


def test_without_a_library(tmp_path):
    result = run("-c", f"import os; os.environ['SMLP_LIBRARY'] = {str(tmp_path)!r}; import smlp")
    assert result.returncode != 0
    assert "cannot be loaded as libsmlp" in result.stderr
