"""Each format against the text it should give, for findings with awkward names and lines."""

from __future__ import annotations

import json
from dataclasses import replace

from sessionlint.findings import (
    Beliefs,
    Finding,
    FixSafety,
    Place,
    Problem,
    Report,
    Severity,
    Step,
    Summary,
    Unresolved,
)
from sessionlint.report import closing, concise, full, github, json_
from sessionlint.report.context import Context

LINES = {
    "app/мой сервис.py": ["# до", "async def сохранить(сессия):", "\tимя, await сессия.commit()  # 日本", ""],
    "a,b:50%.py": ["x = '日本'; db.commit(", "    1,", ")"],
    "new\nline.py": ["db.commit()"],
}

CYRILLIC = Finding(
    "SES201",
    "commit-in-repository",
    Severity.ERROR,
    "`Хранилище.сохранить` commits",
    Place("app/мой сервис.py", 3, 13, 3, 28),
    function="сохранить",
    label="here",
    help="remove it",
    trace=(
        Step(Place("app/a.py", 9, 1, 9, 2), "service.save()"),
        Step(Place("app/мой сервис.py", 118, 1, 118, 2), "db.commit()"),
    ),
    fix=FixSafety.SAFE,
    fingerprint="f" * 20,
)
MULTILINE = Finding(
    "SES301",
    "write-without-commit",
    Severity.WARNING,
    "50% of writes\nare lost",
    Place("a,b:50%.py", 1, 11, 3, 2),
    fix=FixSafety.UNSAFE,
)
NEWLINE = Finding(
    "SES006", "unresolved-receiver", Severity.INFO, "who knows \x1b[31m", Place("new\nline.py", 1, 1, 1, 12)
)

REPORT = Report(
    findings=(MULTILINE, CYRILLIC, NEWLINE),
    problems=(Problem(Place("x.py", 1, 1, 1, 1), "gone", "look"),),
    unresolved=(Unresolved(Place("x.py", 1, 1, 1, 1), "f(db)", "unknown"),),
    beliefs=Beliefs(factories=("maker",), models=("A", "B"), versions=("fastapi >=0.115.6 (lock: 0.128.0)",)),
    summary=Summary(files=136, analysed=41, unparsed=1, unresolved_calls=2, seconds=0.6),
)
CONTEXT = Context(root="/p", cwd="/p", lines=lambda file: LINES.get(file, ()), version="1.2.3")

FULL = """\
SES301 [~] 50% of writes\\nare lost
 --> a,b:50%.py:1:11
  |
1 | x = '日本'; db.commit(
  |             ^^^^^^^^^^
  |
docs: sessionlint explain SES301

SES201 [*] `Хранилище.сохранить` commits
 --> app/мой сервис.py:3:13
  |
1 | # до
2 | async def сохранить(сессия):
3 |     имя, await сессия.commit()  # 日本
  |                ^^^^^^^^^^^^^^^ here
  |
path: how it gets here
    1. app/a.py:9              service.save()
    2. app/мой сервис.py:118   db.commit()
help: remove it
docs: sessionlint explain SES201

SES006 who knows \\x1b[31m
 --> new\\nline.py:1:1
  |
1 | db.commit()
  | ^^^^^^^^^^^
  |
docs: sessionlint explain SES006
"""

CONCISE = """\
a,b:50%.py:1:11: SES301 [~] 50% of writes\\nare lost
app/мой сервис.py:3:13: SES201 [*] `Хранилище.сохранить` commits
new\\nline.py:1:1: SES006 who knows \\x1b[31m
"""

GITHUB = """\
::error file=app/мой сервис.py,line=3,endLine=3,col=13,endColumn=28,title=SES201 commit-in-repository::\
`Хранилище.сохранить` commits%0Ahelp: remove it
::warning file=a%2Cb%3A50%25.py,line=1,endLine=3,title=SES301 write-without-commit::50%25 of writes%0Aare lost
::notice file=new%0Aline.py,line=1,endLine=1,col=1,endColumn=12,title=SES006 unresolved-receiver::who knows \x1b[31m
"""


def test_full():
    assert full.render(REPORT, CONTEXT) == FULL


def test_concise():
    assert concise.render(REPORT, CONTEXT) == CONCISE


def test_github():
    assert github.render(REPORT, CONTEXT) == GITHUB


def test_github_summary():
    table = github.step_summary(REPORT, CONTEXT)
    assert "| SES301 | warning | `a,b:50%.py:1` | 50% of writes\\nare lost |" in table
    assert "No findings in 136 files" in github.step_summary(replace(REPORT, findings=()), CONTEXT)


def test_json():
    document = json.loads(json_.render(REPORT, CONTEXT))
    assert document["tool"] == {"name": "sessionlint", "version": "1.2.3"}
    assert document["summary"] == {
        "files": 136,
        "analysed": 41,
        "unparsed": 1,
        "unresolved_calls": 2,
        "findings": 3,
        "suppressed": 0,
        "accepted": 0,
    }
    assert document["findings"][1] == {
        "code": "SES201",
        "name": "commit-in-repository",
        "severity": "error",
        "message": "`Хранилище.сохранить` commits",
        "file": "app/мой сервис.py",
        "line": 3,
        "column": 13,
        "end_line": 3,
        "end_column": 28,
        "function": "сохранить",
        "label": "here",
        "help": "remove it",
        "fingerprint": "f" * 20,
        "fix": "safe",
        "trace": [
            {"file": "app/a.py", "line": 9, "column": 1, "message": "service.save()"},
            {"file": "app/мой сервис.py", "line": 118, "column": 1, "message": "db.commit()"},
        ],
    }
    assert document["problems"] == [{"file": "x.py", "line": 1, "message": "gone", "next_step": "look"}]


def test_paths_are_relative_to_the_working_directory():
    inside = replace(CONTEXT, cwd="/p/app/sub")
    assert "--> ../мой сервис.py:3:13" in full.render(REPORT, inside)


def test_a_long_path_is_shortened_unless_asked_for():
    steps = tuple(Step(Place("a.py", n, 1, n, 2), f"step {n}") for n in range(1, 11))
    report = Report(findings=(replace(CYRILLIC, trace=steps),))
    text = full.render(report, CONTEXT)
    assert "    3. a.py:3    step 3\n    … 4 more: --full-path\n    8. a.py:8    step 8\n" in text
    assert "step 5" in full.render(report, replace(CONTEXT, full_path=True))


def test_a_very_long_line_is_cut_around_the_token():
    line = "x = 1; " * 1000 + "db.commit()" + "; y = 2" * 1000
    finding = replace(MULTILINE, place=Place("long.py", 1, 7001, 1, 7012), message="m")
    text = full.render(Report(findings=(finding,)), replace(CONTEXT, lines=lambda file: [line]))
    source, carets = text.splitlines()[3:5]
    assert len(source) < 200
    assert source[carets.index("^") : carets.rindex("^") + 1] == "db.commit()"


def test_a_file_that_is_gone_still_gives_a_finding():
    text = full.render(REPORT, replace(CONTEXT, lines=lambda file: ()))
    assert "--> app/мой сервис.py:3:13\npath:" in text


def test_colours():
    text = full.render(REPORT, replace(CONTEXT, colour=True))
    assert "\x1b[1;31mSES201\x1b[0m" in text
    assert "\x1b" not in full.render(REPORT, CONTEXT)


def test_closing_lines():
    assert closing.found(REPORT) == (
        "Found 3 findings (1 error, 1 warning, 1 note) in 3 files. [*] 1 may be repaired by sessionlint fix."
    )
    assert closing.checked(REPORT, "0.6") == (
        "Checked 136 files (41 analysed, 1 could not be parsed) in 0.6 s. "
        "2 calls unresolved: sessionlint show unresolved"
    )
    assert closing.believed(REPORT.beliefs) == (
        "1 session factory (maker), 0 providers, 0 repositories, 2 models; fastapi >=0.115.6 (lock: 0.128.0)"
    )
