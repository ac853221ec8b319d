"""Every option, declared once: name, type, default, kind and documentation are the fields of ``Settings``.

Validation, ``show config``, the documentation and the JSON schema read this table. Must not read any file.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sessionlint.config.versions import VersionRange

#: the libraries of the catalogue; a test holds both lists equal
SLOW_AWAITS = (
    "aioboto3",
    "aiobotocore",
    "aiohttp",
    "aiosmtplib",
    "anthropic",
    "anyio.sleep",
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
    "asyncio.sleep",
    "boto3",
    "botocore",
    "cohere",
    "google.genai",
    "google.generativeai",
    "groq",
    "grpc",
    "httpx",
    "huggingface_hub",
    "langchain",
    "langchain_anthropic",
    "langchain_core",
    "langchain_openai",
    "langfuse.openai",
    "langgraph",
    "litellm",
    "llama_index",
    "mistralai",
    "ollama",
    "openai",
    "pydantic_ai",
    "replicate",
    "requests",
    "sendgrid",
    "slack_sdk",
    "smtplib",
    "stripe",
    "subprocess",
    "time.sleep",
    "together",
    "trio.sleep",
    "twilio",
    "urllib.request",
    "vertexai",
    "websockets",
)


class Kind(enum.Enum):
    """What a value looks like in TOML; the text says it to the user."""

    CODES = "a list of rule codes, prefixes or names"
    GLOBS = "a list of globs"
    NAMES = "a list of names"
    CODES_BY_GLOB = "a table from glob to a list of rule codes, prefixes or names"
    VERSIONS = "a table from library (fastapi, sqlalchemy) to a version or a range"
    FLAG = "true or false"
    CHOICE = "one of the listed words"
    COUNT = "a whole number of at least 0"
    PATH = "a path"


@dataclass(frozen=True)
class Option:
    """One row of the table, derived from a field of ``Settings``; ``name`` is the TOML spelling."""

    name: str
    attribute: str
    kind: Kind
    default: object
    doc: str
    choices: tuple[str, ...] = ()


def _option(default: object, kind: Kind, doc: str, choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"kind": kind, "doc": doc, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """The effective options of one run."""

    select: tuple[str, ...] = _option((), Kind.CODES, "Rules to run instead of the default set.")
    ignore: tuple[str, ...] = _option((), Kind.CODES, "Rules not to run.")
    extend_select: tuple[str, ...] = _option((), Kind.CODES, "Rules to run in addition.")
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = _option(
        (), Kind.CODES_BY_GLOB, "Rules not to report in the files a glob matches."
    )
    allowed_session_files: tuple[str, ...] = _option(
        (), Kind.GLOBS, "Where sessions may be created, besides the files that define a factory or a provider."
    )
    session_factories: tuple[str, ...] = _option((), Kind.NAMES, "Extra dotted names of session factories.")
    session_providers: tuple[str, ...] = _option((), Kind.NAMES, "Extra dotted names of session providers.")
    unit_of_work_classes: tuple[str, ...] = _option((), Kind.NAMES, "Extra dotted names of unit-of-work classes.")
    repository_classes: tuple[str, ...] = _option(
        ("*Repository*", "*Repo", "*DAO", "*CRUD*"), Kind.GLOBS, "Class names that mark a repository."
    )
    parent_models: tuple[str, ...] = _option(
        (), Kind.NAMES, "Models whose insert must be committed before others rely on it, besides the foreign-key graph."
    )
    slow_awaits: tuple[str, ...] = _option(
        SLOW_AWAITS, Kind.NAMES, "Modules or dotted names of calls that must not run inside an open transaction."
    )
    commit_owner: str = _option(
        "boundary",
        Kind.CHOICE,
        "Which layer commits by this project's policy; SES201, SES202 and SES209 follow it.",
        ("boundary", "service", "repository"),
    )
    target: tuple[tuple[str, str], ...] = _option(
        (), Kind.VERSIONS, "Library versions to judge by; else the lock file, else the declared range."
    )
    exclude: tuple[str, ...] = _option((), Kind.GLOBS, "Files and folders not to analyse, besides the usual ones.")
    respect_gitignore: bool = _option(True, Kind.FLAG, "Leave out what .gitignore names.")
    tests: bool = _option(False, Kind.FLAG, "Report findings in test files too; they are analysed anyway.")
    fail_on: str = _option(
        "warning", Kind.CHOICE, "The least severity that makes the exit code 1.", ("info", "warning", "error")
    )
    output_format: str = _option(
        "full",
        Kind.CHOICE,
        "How findings are printed.",
        (
            "full",
            "concise",
            "grouped",
            "json",
            "json-lines",
            "sarif",
            "github",
            "gitlab",
            "junit",
            "rdjson",
            "markdown",
        ),
    )
    jobs: int = _option(0, Kind.COUNT, "Processes that read files; 0 means one per processor.")
    cache_dir: str = _option(".sessionlint_cache", Kind.PATH, "Where facts are kept, relative to the project root.")
    baseline: str = _option("", Kind.PATH, "File of accepted findings, relative to the project root.")


def options() -> tuple[Option, ...]:
    """The table in declaration order."""
    return tuple(
        Option(
            name=row.name.replace("_", "-"),
            attribute=row.name,
            kind=row.metadata["kind"],
            default=row.default,
            doc=row.metadata["doc"],
            choices=row.metadata["choices"],
        )
        for row in fields(Settings)
    )


@dataclass(frozen=True)
class AnalysisSettings:
    """What the analysis may know of the configuration: nothing about reporting."""

    root: Path = Path()
    allowed_session_files: tuple[str, ...] = ()
    session_factories: tuple[str, ...] = ()
    session_providers: tuple[str, ...] = ()
    unit_of_work_classes: tuple[str, ...] = ()
    repository_classes: tuple[str, ...] = ("*Repository*", "*Repo", "*DAO", "*CRUD*")
    parent_models: tuple[str, ...] = ()
    slow_awaits: tuple[str, ...] = SLOW_AWAITS
    commit_owner: str = "boundary"
    versions: dict[str, VersionRange] = field(default_factory=dict)


def analysis_settings(settings: Settings, root: Path, versions: dict[str, VersionRange]) -> AnalysisSettings:
    """The part of ``settings`` that the analysis sees."""
    return AnalysisSettings(
        root=root,
        allowed_session_files=settings.allowed_session_files,
        session_factories=settings.session_factories,
        session_providers=settings.session_providers,
        unit_of_work_classes=settings.unit_of_work_classes,
        repository_classes=settings.repository_classes,
        parent_models=settings.parent_models,
        slow_awaits=settings.slow_awaits,
        commit_owner=settings.commit_owner,
        versions=versions,
    )
