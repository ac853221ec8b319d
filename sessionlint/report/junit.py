"""JUnit XML for CI systems that know tests only: a failed test case per finding, one passed case when clean.

Source: the format as Jenkins, GitLab and CircleCI read it. XML 1.0 cannot hold most control characters, not even
escaped, so they are written out.
"""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree

from sessionlint.findings import Finding, Report
from sessionlint.report.context import Context

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report, context: Context) -> str:
    """One test suite per file with findings, and one for what kept the tool from looking."""
    suites = ElementTree.Element("testsuites", name="sessionlint")
    for file, findings in groupby(report.findings, key=lambda one: one.place.file):
        suite = _suite(suites, context.typed(file))
        for finding in findings:
            _case(suite, finding, context)
    for problem in report.problems:
        suite = _suite(suites, context.typed(problem.place.file) or "sessionlint")
        case = ElementTree.SubElement(suite, "testcase", name="problem", classname="sessionlint")
        fault = ElementTree.SubElement(case, "error", message=_text(problem.message))
        fault.text = _text(problem.next_step)
    if not len(suites):
        ElementTree.SubElement(_suite(suites, "sessionlint"), "testcase", name="no findings", classname="sessionlint")
    total = {"tests": 0, "failures": 0, "errors": 0}
    for suite in suites:
        counts = {
            "tests": len(suite),
            "failures": sum(1 for _ in suite.iter("failure")),
            "errors": sum(1 for _ in suite.iter("error")),
        }
        for name, number in counts.items():
            total[name] += number
            suite.set(name, str(number))
    for name, number in total.items():
        suites.set(name, str(number))
    ElementTree.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suites, encoding="unicode") + "\n"


def _suite(suites: ElementTree.Element, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suites, "testsuite", name=_text(name))


def _case(suite: ElementTree.Element, finding: Finding, context: Context) -> None:
    place = finding.place
    file = context.typed(place.file)
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=f"{finding.code} {finding.name} {place.line}:{place.column}",
        classname=_text(file.removesuffix(".py").replace("/", ".")),
        file=_text(file),
        line=str(place.line),
    )
    failure = ElementTree.SubElement(case, "failure", message=_text(finding.message), type=finding.code)
    lines = [f"{file}:{place.line}:{place.column}"]
    lines += [
        f"  {number}. {context.typed(step.place.file)}:{step.place.line} {step.message}"
        for number, step in enumerate(finding.trace, 1)
    ]
    if finding.help:
        lines.append(f"help: {finding.help}")
    failure.text = _text("\n".join(lines))


def _text(text: str) -> str:
    return _NOT_XML.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
