"""A little of what stress.py tries at length."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="stress.py needs Linux")
@pytest.mark.parametrize("section", ["files", "large", "kill", "disk", "determinism"])
def test_section(section):
    pytest.importorskip("scipy")
    program = [sys.executable, str(Path(__file__).with_name("stress.py")), "--quick", "--only", section]
    run = subprocess.run(program, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
