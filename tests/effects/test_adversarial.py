"""Programs nobody writes: the analysis ends soon, twice with the same answers, and names only places that exist."""

from __future__ import annotations

import pytest

from sessionlint.facts import syntax
from tests.effects.adversarial_programs import FILES, MANY_FILES, NAMES, PRELUDE, RECURSION, SIZES
from tests.effects.pipeline import sound

_ONE_FILE = {**RECURSION, **NAMES, **SIZES}


@pytest.mark.parametrize("text", _ONE_FILE.values(), ids=_ONE_FILE)
def test_one_file(text: str):
    sound({"app/odd.py": PRELUDE + text})


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_several_files(files: dict[str, str]):
    sound(files)
    sound({name: PRELUDE + text for name, text in files.items()})


@pytest.mark.parametrize("files", MANY_FILES.values(), ids=MANY_FILES)
def test_many_files(files: dict[str, str]):
    first, *others = files
    sound({first: PRELUDE + files[first], **{name: files[name] for name in others}})


@pytest.mark.parametrize("text", _ONE_FILE.values(), ids=_ONE_FILE)
def test_it_is_a_program(text: str):
    """A slip of ours must not make a program one that is only ever refused by the parser."""
    syntax.parse((PRELUDE + text).encode())


def test_what_is_nested_too_deeply_is_refused():
    nested = "".join(f"{' ' * level}if a:\n" for level in range(300)) + " " * 300 + "db.commit()\n"
    found = sound({"app/odd.py": nested, "app/fine.py": PRELUDE})
    assert [problem.path for problem in found.unparsed] == ["app/odd.py"]
