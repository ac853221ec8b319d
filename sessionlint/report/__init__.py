"""Findings as text: one file per format, each with ``render(report, context) -> str``.

Reporters see only the report and what ``context`` hands them; they read no files and decide nothing about findings.
"""
