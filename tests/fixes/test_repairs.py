"""Every project in ``repairs/`` becomes what its file says, behaves as it should, and loses no comment."""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
from collections import Counter
from pathlib import Path

import pytest

from tests.fixes.project import Case, fixed, read_case, run_check

_FOLDER = Path(__file__).parent / "repairs"
EACH = pytest.mark.parametrize("name", sorted(p.stem for p in _FOLDER.glob("*.txt")))


def case_of(name: str) -> Case:
    return read_case((_FOLDER / f"{name}.txt").read_text(encoding="utf-8"))


@EACH
def test_repair(name: str, tmp_path: Path) -> None:
    case = case_of(name)
    outcome = fixed(case.before, unsafe=case.unsafe)
    expected = {**case.before, **case.after}
    got = {file: source.decode() for file, source in outcome.after.sources.items()}
    assert got == expected, _difference(expected, got)
    for file, text in got.items():
        if file.endswith(".py"):
            ast.parse(text, file)
    had, has = (Counter(f.code for f in p.findings) for p in (outcome.before, outcome.after))
    assert not has - had, "new findings: " + "; ".join(f"{f.place} {f.code}" for f in outcome.after.findings)
    for code in case.repairs:
        assert had[code], f"{code} is not found before, so its repair proves nothing: {had}"
        assert not has[code], f"{code} is still found"
    for line in case.options.get("refuses", []):
        code, _, reason = line.partition(": ")
        said = [r.reason for r in outcome.refused if any(f.code == code for f in r.findings)]
        assert any(reason in one for one in said), f"{code} is not refused because {reason!r}: {said}"
    assert _comments(case.before) <= _comments(got), "a comment is lost"
    again = fixed(got, unsafe=case.unsafe)
    assert not again.changed, "a second run changes something"
    if case.check:
        _behaves(case, got, tmp_path)


def _behaves(case: Case, after: dict[str, str], folder: Path) -> None:
    old = run_check(folder / "before", case.before, case.check)
    new = run_check(folder / "after", after, case.check)
    wanted = case.options["before"][0]
    assert (old.returncode == 0) == (wanted == "pass"), f"before: wanted {wanted}\n{old.stdout}{old.stderr}"
    assert new.returncode == 0, f"after:\n{new.stdout}{new.stderr}"


def _comments(files: dict[str, str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for text in (t for file, t in files.items() if file.endswith(".py")):
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and not re.search("SES|sessionlint:", token.string):
                found[token.string] += 1
    return found


def _difference(expected: dict[str, str], got: dict[str, str]) -> str:
    out = []
    for file in sorted({*expected, *got}):
        out += difflib.unified_diff(
            expected.get(file, "").splitlines(),
            got.get(file, "").splitlines(),
            f"expected/{file}",
            f"got/{file}",
            "",
            "",
            3,
            "",
        )
    return "\n".join(out)
