"""What reads files for an import is bound in its memory."""

import subprocess
import sys

import psutil

from app.formats import processes
from app.formats.opening import Request
from tests.importing.folders import write

TOO_MUCH = """
import numpy, resource
from app.formats import processes
processes._MOST_MEMORY = 2**30
processes._bound_memory()
try:
    numpy.zeros(2**31, numpy.uint8)
except MemoryError:
    print("refused")
"""


def test_a_reader_holds_no_more_than_it_may(tmp_path):
    write(tmp_path / "a.nii")
    with processes.ProcessSource(Request("nifti", tmp_path), 1) as source:
        assert source.listing().cases == ("a",)
        [child] = [one for one in psutil.Process().children() if "spawn_main" in str(one.cmdline())]
        most, _ = child.rlimit(psutil.RLIMIT_DATA)
    assert 0 < most <= min(processes._MOST_MEMORY, psutil.virtual_memory().total)


def test_beyond_it_is_an_error_that_names_the_case():
    said = subprocess.run(
        [sys.executable, "-c", TOO_MUCH], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "refused"
