"""The baseline: what it accepts, what it never does in silence, and files that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sessionlint.baseline import BaselineProblem, load, parse, render
from tests.adoption.conftest import CLEAN, REPOSITORY

FILE = "sessionlint-baseline.json"
SECOND = "\n    async def remove(self, user: User) -> None:\n        await self._db.delete(user)\n" + (
    "        await self._db.commit()\n"
)


def test_accept_then_report_only_what_is_new(cli, project, write):
    ran = cli("baseline")
    assert (ran.code, ran.stdout) == (0, "")
    assert ran.stderr.startswith(f"{FILE} accepts 1 finding\n`sessionlint check --baseline` reports only new ones")
    ran = cli("check", "--baseline")
    assert (ran.code, ran.stdout) == (0, "")
    assert "Found nothing new. 1 accepted by the baseline." in ran.stderr
    assert cli("check").code == 1
    write({"app/users.py": "\n\n" + REPOSITORY + SECOND})
    ran = cli("check", "--baseline", "--output-format", "concise")
    assert ran.code == 1
    assert ran.stdout.count("\n") == 1 and "app/users.py:18:" in ran.stdout
    assert "Found 1 new finding (1 error) in 1 file. 1 accepted by the baseline." in ran.stderr


def test_the_option_makes_it_the_default(cli, project, write):
    write({"pyproject.toml": '[tool.sessionlint]\nbaseline = "ci/known.json"\n', "ci/x.txt": ""})
    ran = cli("check")
    assert ran.code == 2
    assert "no baseline at" in ran.stderr and "`sessionlint baseline` writes one" in ran.stderr
    assert cli("baseline").code == 0
    assert Path("ci/known.json").exists()
    assert cli("check").code == 0
    assert cli("check", "--no-baseline").code == 1
    assert cli("check", "--no-baseline", "--prune").code == 2


def test_it_never_grows_unasked(cli, project, write):
    cli("baseline")
    before = Path(FILE).read_text()
    write({"app/users.py": REPOSITORY + SECOND})
    ran = cli("baseline")
    assert ran.code == 1
    assert "1 finding not in sessionlint-baseline.json" in ran.stderr and "--accept-new" in ran.stderr
    assert Path(FILE).read_text() == before
    assert cli("baseline", "--accept-new").code == 0
    assert len(load(FILE)) == 2
    assert cli("check", "--baseline").code == 0


def test_check_accepts_new_when_told(cli, project, write):
    cli("baseline")
    write({"app/users.py": REPOSITORY + SECOND})
    ran = cli("check", "--baseline", "--accept-new")
    assert ran.code == 0
    assert "accepted 1 new finding into sessionlint-baseline.json" in ran.stderr
    assert len(load(FILE)) == 2


def test_stale_entries_are_said_and_pruned(cli, project, write):
    cli("baseline")
    write({"app/users.py": CLEAN})
    ran = cli("check", "--baseline")
    assert ran.code == 0
    assert "1 entry of sessionlint-baseline.json found no more (SES201 in app/users.py)" in ran.stderr
    assert len(load(FILE)) == 1
    ran = cli("check", "--baseline", "--prune")
    assert "dropped 1 entry" in ran.stderr
    assert load(FILE) == ()
    assert "found no more" not in cli("check", "--baseline").stderr


def test_what_was_not_looked_for_is_not_stale(cli, project, write):
    cli("baseline")
    write({"app/users.py": CLEAN})
    assert "found no more" not in cli("check", "--baseline", "--ignore", "SES201").stderr
    assert "found no more" not in cli("check", "app/models.py", "--baseline").stderr
    assert "found no more" in cli("check", "app", "--baseline").stderr
    assert cli("check", "app/models.py", "--baseline", "--prune").code == 0
    assert len(load(FILE)) == 1


def test_a_suppression_keeps_its_entry_alive(cli, project, write):
    cli("baseline")
    write({"app/users.py": REPOSITORY.replace("commit()", "commit()  # noqa: SES201")})
    ran = cli("check", "--baseline")
    assert ran.code == 0
    assert "found no more" not in ran.stderr
    write({"app/users.py": REPOSITORY})
    assert cli("check", "--baseline").code == 0


def test_suppressed_findings_are_accepted_too(cli, project, write):
    write({"app/users.py": REPOSITORY.replace("commit()", "commit()  # noqa: SES201")})
    assert cli("baseline").code == 0
    write({"app/users.py": REPOSITORY})
    assert cli("check", "--baseline").code == 0


def test_the_stored_answer_knows_the_baseline(cli, project):
    cli("baseline")
    first = cli("check", "--baseline")
    Path(FILE).write_text(render(()))
    assert cli("check", "--baseline").code == 1
    assert first.code == 0


CONFLICT = """\
{
  "tool": "sessionlint",
<<<<<<< HEAD
  "baseline_version": 1,
=======
  "baseline_version": 1,
>>>>>>> other
  "findings": []
}
"""

BAD = {
    "merge conflict": (CONFLICT, f"{FILE}:3: the baseline holds a merge conflict"),
    "no JSON": ("{", "no valid JSON"),
    "empty": ("", "no valid JSON"),
    "another tool": ('{"findings": []}', "no baseline of sessionlint"),
    "a list": ("[]", "no baseline of sessionlint"),
    "a later version": ('{"tool": "sessionlint", "baseline_version": 99, "findings": []}', "has version 99"),
    "no findings": ('{"tool": "sessionlint", "baseline_version": 1}', "no list of findings"),
    "half an entry": (
        '{"tool": "sessionlint", "baseline_version": 1, "findings": [{"file": "a.py"}]}',
        "finding 1 of the baseline",
    ),
}


@pytest.mark.parametrize("title", BAD)
def test_a_file_that_cannot_be_used(cli, project, title):
    text, message = BAD[title]
    Path(FILE).write_text(text)
    for words in (["check", "--baseline"], ["baseline"], ["baseline", "--accept-new"]):
        ran = cli(*words)
        assert ran.code == 2
        assert message in ran.stderr and "Traceback" not in ran.stderr
        assert ran.stdout == ""
        assert Path(FILE).read_text() == text


def test_not_utf8_and_a_folder(cli, project):
    Path(FILE).write_bytes(b'{"tool": "\xff"}')
    assert "is not UTF-8" in cli("check", "--baseline").stderr
    Path(FILE).unlink()
    Path(FILE).mkdir()
    assert cli("check", "--baseline").code == 2


def test_the_file_is_sorted_readable_and_one_line_per_finding(cli, project, write):
    write({"app/users.py": REPOSITORY + SECOND, "мои файлы/б.py": REPOSITORY})
    cli("baseline")
    text = Path(FILE).read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if '"fingerprint"' in line]
    assert len(rows) == 3 and rows == sorted(rows)
    assert "мои файлы/б.py" in text and "`UserRepository.save`" in text
    assert json.loads(text)["baseline_version"] == 1
    entries = load(FILE)
    assert render(reversed(entries)) == text
    assert parse(render(()), "x") == ()
    with pytest.raises(BaselineProblem):
        parse(text[:-10], "x")
