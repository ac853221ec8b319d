"""The formats that programs read: valid by their own definition, for none, some, awkward and ten thousand findings."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import jsonschema
import pytest

from sessionlint.config.settings import options
from sessionlint.findings import Finding, Place, Problem, Report, Severity, Step, Summary
from sessionlint.report import render
from sessionlint.report.context import Context, RuleText
from sessionlint.report.markdown import LONGEST
from tests.report.test_formats import CONTEXT, CYRILLIC, REPORT

FORMATS = next(option.choices for option in options() if option.name == "output-format")
NAMES = [
    "with space.py",
    "мой файл.py",
    "quo\"te'.py",
    "50%.py",
    "new\nline.py",
    "back\\slash.py",
    "a:b,c.py",
    "<&>.py",
]
RULE = RuleText("SES201", "commit-in-repository", Severity.ERROR, "A repository commits.", "# A page")
WITH_RULES = replace(CONTEXT, rules=lambda: [RULE])


def finding(file: str, line: int = 1, **changes: Any) -> Finding:
    place = Place(file, line, 1, line, 5)
    given = Finding(
        "SES201", "commit-in-repository", Severity.ERROR, f"`a` in {file}", place, fingerprint=f"{line:020}"
    )
    return replace(given, trace=(Step(Place(file, 7, 1, 7, 2), f"step in {file}"),), **changes)


AWKWARD = Report(findings=tuple(finding(name, line) for line, name in enumerate(NAMES, 1)))
CLEAN = Report(summary=Summary(files=3, analysed=1))
MANY = Report(findings=tuple(finding(f"pkg/m{number // 10}.py", number + 1) for number in range(10_000)))
REPORTS = {"none": CLEAN, "some": REPORT, "awkward": AWKWARD, "ten thousand": MANY}


@lru_cache(maxsize=1)
def _sarif_schema() -> Any:
    schema = json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.schema.json").read_text())
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


def check_sarif(text: str, report: Report) -> None:
    document = json.loads(text)
    small = replace_results(document, document["runs"][0]["results"][:50])
    faults = [f"{list(fault.absolute_path)}: {fault.message[:200]}" for fault in _sarif_schema().iter_errors(small)]
    assert not faults
    results = document["runs"][0]["results"]
    assert len(results) == len(report.findings) + len(report.suppressed)
    for result, one in zip(results, report.findings, strict=False):
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert uri.isascii() and " " not in uri and "\n" not in uri
        assert unquote(uri) == one.place.file


def replace_results(document: dict[str, Any], results: list[Any]) -> dict[str, Any]:
    return {**document, "runs": [{**document["runs"][0], "results": results}]}


def check_gitlab(text: str, report: Report) -> None:
    issues = json.loads(text)
    assert [issue["location"]["path"] for issue in issues] == [one.place.file for one in report.findings]
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    for issue in issues:
        assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
        assert issue["description"] and issue["check_name"] and issue["location"]["lines"]["begin"] >= 1


def check_junit(text: str, report: Report) -> None:
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    assert len(list(root.iter("testcase"))) == max(1, len(report.findings) + len(report.problems))
    assert len(list(root.iter("failure"))) == len(report.findings) == int(root.get("failures", ""))


def check_rdjson(text: str, report: Report) -> None:
    diagnostics = json.loads(text)["diagnostics"]
    assert [one["location"]["path"] for one in diagnostics] == [one.place.file for one in report.findings]
    for one in diagnostics:
        assert one["severity"] in ("ERROR", "WARNING", "INFO")
        assert one["location"]["range"]["start"]["column"] >= 1


def check_json(text: str, report: Report) -> None:
    assert [one["file"] for one in json.loads(text)["findings"]] == [one.place.file for one in report.findings]


def check_json_lines(text: str, report: Report) -> None:
    rows = [json.loads(line) for line in text.splitlines()]
    assert [one["file"] for one in rows] == [one.place.file for one in report.findings]


def check_markdown(text: str, report: Report) -> None:
    assert len(text) <= LONGEST + 200
    if not report.findings:
        assert "No findings in 3 files." in text
    elif len(report.findings) > 1000:
        assert "more findings left out" in text


def check_lines(text: str, report: Report) -> None:
    assert text.isprintable() or all(line.isprintable() for line in text.split("\n"))


def check_github(text: str, report: Report) -> None:
    assert all(line.startswith("::") for line in text.splitlines())
    assert len(text.splitlines()) == len(report.findings)


CHECKS = {
    "sarif": check_sarif,
    "gitlab": check_gitlab,
    "junit": check_junit,
    "rdjson": check_rdjson,
    "json": check_json,
    "json-lines": check_json_lines,
    "markdown": check_markdown,
    "github": check_github,
}


@pytest.mark.parametrize("kind", REPORTS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_for_every_report(name, kind):
    report = REPORTS[kind]
    CHECKS.get(name, check_lines)(render(name, report, WITH_RULES), report)


def test_a_clean_report_says_so_to_every_program():
    assert render("gitlab", CLEAN, CONTEXT) == "[]\n"
    assert render("json-lines", CLEAN, CONTEXT) == ""
    assert '<testcase name="no findings"' in render("junit", CLEAN, CONTEXT)
    assert json.loads(render("rdjson", CLEAN, CONTEXT))["diagnostics"] == []


def test_sarif_of_one_finding():
    report = Report(findings=(replace(CYRILLIC, code="SES201"),), suppressed=(finding("b.py"),))
    run = json.loads(render("sarif", report, replace(WITH_RULES, repository="/")))["runs"][0]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["tool"]["driver"]["rules"][0]["id"] == "SES201"
    result, silenced = run["results"]
    assert "suppressions" not in result
    assert silenced["suppressions"] == [{"kind": "inSource", "status": "accepted"}]
    place = result["locations"][0]["physicalLocation"]
    assert unquote(place["artifactLocation"]["uri"]) == "p/app/мой сервис.py"
    assert place["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
    assert place["region"] == {"startLine": 3, "startColumn": 13, "endLine": 3, "endColumn": 28}
    assert result["ruleIndex"] == 0
    assert result["partialFingerprints"] == {"sessionlint/v1": "f" * 20}
    steps = [one["location"]["message"]["text"] for one in result["codeFlows"][0]["threadFlows"][0]["locations"]]
    assert steps == ["service.save()", "db.commit()", "`Хранилище.сохранить` commits"]
    assert [one["id"] for one in result["relatedLocations"]] == [1, 2]


def test_sarif_tells_what_was_not_looked_at():
    broken = finding("broken.py", code="SES001", message="`broken.py` cannot be parsed")
    crash = Problem(Place("", 0, 0, 0, 0), "rule SES9 failed", "report it")
    report = Report(findings=(broken,), problems=(Problem(Place("x.py", 1, 1, 1, 1), "gone"), crash))
    text = render("sarif", report, WITH_RULES)
    check_sarif(text, report)
    (invocation,) = json.loads(text)["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    assert [(one["level"], one["message"]["text"]) for one in invocation["toolExecutionNotifications"]] == [
        ("error", "`broken.py` cannot be parsed"),
        ("warning", "gone"),
        ("error", "rule SES9 failed; report it"),
    ]


def test_rdjson_counts_bytes():
    (one,) = json.loads(render("rdjson", Report(findings=(CYRILLIC,)), CONTEXT))["diagnostics"]
    before = "\tимя, await ".encode()
    assert one["location"]["range"]["start"] == {"line": 3, "column": len(before) + 1}


def test_gitlab_fingerprints_stay_unique_for_equal_findings():
    twice = Report(findings=(finding("a.py"), finding("a.py")))
    assert len({issue["fingerprint"] for issue in json.loads(render("gitlab", twice, CONTEXT))}) == 2


def test_junit_writes_out_what_xml_cannot_hold():
    text = render("junit", Report(findings=(finding("a\x1b\x00.py", message="\ufffe \x08"),)), CONTEXT)
    assert r"a\x1b\x00.py" in text
    assert ElementTree.fromstring(text.encode()) is not None


GROUPED = """\
a b.py:
  1:1 SES201 `a` in a b.py
  7:1 SES201 `a` in a b.py

c\\n.py:
  12:1 SES201 `a` in c\\n.py
"""


def test_grouped():
    report = Report(findings=(finding("a b.py"), finding("a b.py", 7), finding("c\n.py", 12)))
    assert render("grouped", report, CONTEXT) == GROUPED


MARKDOWN = """\
## sessionlint: 1 finding (1 error)

| rule | name | findings |
| --- | --- | ---: |
| SES201 | commit-in-repository | 1 |

### SES201 at `app/x.py:1`

`a|b` is \\*not\\* \\<b\\>

1. `app/x.py:7` step in app/x.py

**help:** remove it
"""


def test_markdown():
    report = Report(findings=(finding("app/x.py", message="`a|b` is *not* <b>", help="remove it"),))
    assert render("markdown", report, CONTEXT) == MARKDOWN


def test_paths_are_relative_to_what_the_reader_sees():
    report = Report(findings=(finding("app/x.py"),))
    context = Context(root="/repo/service", cwd="/repo/service/app", repository="/repo")
    assert json.loads(render("gitlab", report, context))[0]["location"]["path"] == "service/app/x.py"
    assert json.loads(render("rdjson", report, context))["diagnostics"][0]["location"]["path"] == "x.py"
    assert 'file="x.py"' in render("junit", report, context)
