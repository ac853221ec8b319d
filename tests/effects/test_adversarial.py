"""Programs nobody writes: the analysis ends soon, twice with the same answers, and names only places that exist."""

from __future__ import annotations

import pytest

from tests.effects.adversarial_programs import FILES, NAMES, PRELUDE, RECURSION, SIZES
from tests.effects.pipeline import answers, sound

_ONE_FILE = {**RECURSION, **NAMES, **SIZES}


@pytest.mark.parametrize("text", _ONE_FILE.values(), ids=_ONE_FILE)
def test_one_file(text: str):
    sound({"app/odd.py": PRELUDE + text})


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_several_files(files: dict[str, str]):
    sound(files)
    sound({name: PRELUDE + text for name, text in files.items()})


def test_the_programs_are_programs():
    """A slip of ours must not make a program one that is only ever refused by the parser."""
    refused = [name for name, text in _ONE_FILE.items() if answers({"app/odd.py": PRELUDE + text}, 20).unparsed]
    assert not refused
