"""Loads, runs and judges the database proofs in this folder.

A proof is a folder named like its rule (`ses202_commit_on_borrowed_session`) holding

* `bad.py`   - a small program with the fault, written in the form the rule reports,
* `good.py`  - the same work, repaired,
* `bad_*.py`, `good_*.py` - modules of their own, where the fault lies between two files,
* `proof.toml` - what a user sees, and what each program must observe on each database::

      symptom = "half of the order is saved after the caller gave up"
      backends = ["postgresql", "sqlite"]
      note = "optional: where and why a backend behaves differently"

      [bad.postgresql]
      rows = 1                                # equal
      error_contains = "ForeignKeyViolation"  # observation["error"] contains the text
      seconds_at_least = 1.0                  # observation["seconds"] >= 1.0

      [good.postgresql]
      rows = 0

Each program reads `DATABASE_URL` (an empty database, async driver), and prints one line of JSON last: its
observation. Keys of the observation which the table does not name are free.

This module knows nothing of pytest and nothing of the analyser's insides.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Value = str | int | float | bool | None | list[object]
Observation = Mapping[str, Value]

HERE = Path(__file__).parent
RULES = HERE.parent.parent / "sessionlint" / "rules"
VARIANTS = ("bad", "good")
BACKENDS = ("postgresql", "sqlite")
PROGRAM_TIMEOUT = 60.0  # seconds; a proof that needs more than a few is wrong
_FOLDER = re.compile(r"(ses\d{3})_[a-z0-9_]+")


class ProofError(Exception):
    """A proof folder or one of its programs breaks the contract described above."""


@dataclass(frozen=True)
class Proof:
    """One folder: `expected` maps (variant, backend) to the observation that must be made."""

    folder: Path
    code: str
    symptom: str
    backends: tuple[str, ...]
    expected: Mapping[tuple[str, str], Observation]

    @property
    def name(self) -> str:
        return self.folder.name

    def program(self, variant: str) -> Path:
        return self.folder / f"{variant}.py"


@dataclass(frozen=True)
class Run:
    """What one program did: its observation, or why there is none."""

    observation: Observation | None
    returncode: int | None
    stdout: str
    stderr: str


def folders() -> list[Path]:
    """Every proof folder, sorted by code."""
    return sorted(path for path in HERE.iterdir() if path.is_dir() and _FOLDER.fullmatch(path.name))


def load(folder: Path) -> Proof:
    """Reads `proof.toml`; raises ProofError naming the file and what is wrong with it."""
    match = _FOLDER.fullmatch(folder.name)
    if match is None:
        raise ProofError(f"{folder}: a proof folder is named like its rule file")
    path = folder / "proof.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ProofError(f"{path}: {error}") from error
    unknown = set(table) - {"symptom", "backends", "note", *VARIANTS}
    if unknown:
        raise ProofError(f"{path}: unknown keys {sorted(unknown)}")
    symptom = table.get("symptom")
    if not isinstance(symptom, str) or not symptom or "\n" in symptom:
        raise ProofError(f"{path}: `symptom` is one non-empty line")
    backends = tuple(table.get("backends", ()))
    if "postgresql" not in backends or not set(backends) <= set(BACKENDS):
        raise ProofError(f"{path}: `backends` names postgresql, and sqlite where it was tried")
    expected: dict[tuple[str, str], Observation] = {}
    for variant in VARIANTS:
        if not (folder / f"{variant}.py").is_file():
            raise ProofError(f"{folder}: {variant}.py is missing")
        tables = table.get(variant, {})
        if set(tables) != set(backends) or not all(tables.values()):
            raise ProofError(f"{path}: needs a non-empty [{variant}.<backend>] for exactly {list(backends)}")
        for backend in backends:
            expected[variant, backend] = tables[backend]
    if expected["bad", "postgresql"] == expected["good", "postgresql"]:
        raise ProofError(f"{path}: bad and good expect the same on PostgreSQL, so nothing is proven")
    return Proof(folder, match.group(1).upper(), symptom, backends, expected)


def run(program: Path, database_url: str) -> Run:
    """Runs one program in a fresh working directory; never raises for what the program does."""
    environment = {**os.environ, "DATABASE_URL": database_url, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory(prefix="proof-") as directory:
        try:
            done = subprocess.run(
                [sys.executable, str(program)],
                cwd=directory,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PROGRAM_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            return Run(None, None, _text(error.stdout), _text(error.stderr))
    return Run(_observation(done.stdout), done.returncode, done.stdout, done.stderr)


def differences(expected: Observation, got: Observation) -> list[str]:
    """One line per expected key that the observation does not satisfy; empty when all hold."""
    lines = []
    for key, wanted in expected.items():
        seen_key, holds = _judge(key, wanted, got)
        if not holds:
            seen = repr(got[seen_key]) if seen_key in got else "(not observed)"
            lines.append(f"  {key:<28} expected {wanted!r:<30} got {seen}")
    return lines


def report(proof: Proof, variant: str, backend: str, outcome: Run) -> str:
    """The text of a failing proof, expected and got side by side; empty when the proof holds."""
    head = f"{proof.name}/{variant}.py on {backend}: {proof.symptom}"
    if outcome.observation is None or outcome.returncode != 0:
        reason = "timed out" if outcome.returncode is None else f"ended with exit status {outcome.returncode}"
        return (
            f"{head}\n  the program {reason}; its last line must be a JSON object\n"
            f"--- stdout\n{outcome.stdout[-3000:]}\n--- stderr\n{outcome.stderr[-3000:]}"
        )
    lines = differences(proof.expected[variant, backend], outcome.observation)
    if not lines:
        return ""
    return "\n".join(
        [head, *lines, f"  observation: {dict(outcome.observation)}", "--- stderr", outcome.stderr[-3000:]]
    )


def reported_codes(program: Path, *options: str) -> dict[str, list[int]]:
    """Runs the analyser over a copy of `program` and its own modules (`bad_*.py`): code -> lines it was reported on.

    Raises ProofError when the analyser neither ended with 0 (clean) nor with 1 (findings).
    """
    with tempfile.TemporaryDirectory(prefix="proof-check-") as directory:
        copy = Path(directory) / "program.py"
        copy.write_bytes(program.read_bytes())
        for part in program.parent.glob(f"{program.stem}_*.py"):
            (Path(directory) / part.name).write_bytes(part.read_bytes())
        command = [sys.executable, "-m", "sessionlint", "check", "--output-format", "json", "--no-cache", "--isolated"]
        done = subprocess.run(
            [*command, *options, "."],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(RULES.parent.parent)},
            capture_output=True,
            text=True,
            timeout=PROGRAM_TIMEOUT,
            check=False,
        )
    if done.returncode not in (0, 1) or not done.stdout.lstrip().startswith("{"):
        raise ProofError(f"sessionlint ended with {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    codes: dict[str, list[int]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        codes.setdefault(finding["code"], []).append(finding["line"])
    return codes


def rule_files() -> list[Path]:
    """The rule files beside which a proof must stand (family 0xx is about the tool itself)."""
    return sorted(path for path in RULES.glob("ses*.py") if not path.name.startswith("ses0"))


def is_default(rule_file: Path) -> bool:
    """Whether the rule is on by default; read from the text, so that a broken rule hides no proof."""
    return (
        re.search(r"^DEFAULT\s*(?::[^=]*)?=\s*True\b", rule_file.read_text(encoding="utf-8"), re.MULTILINE) is not None
    )


def _judge(key: str, wanted: Value, got: Observation) -> tuple[str, bool]:
    """(key of the observation, whether it satisfies the expectation)."""
    if key in got:
        return key, type(wanted) is type(got[key]) and wanted == got[key]
    if key.endswith("_contains"):
        name = key.removesuffix("_contains")
        return name, str(wanted) in str(got.get(name))
    if key.endswith("_at_least"):
        name = key.removesuffix("_at_least")
        seen = got.get(name)
        return name, isinstance(seen, (int, float)) and isinstance(wanted, (int, float)) and seen >= wanted
    return key, False


def _observation(stdout: str) -> Observation | None:
    lines = [line for line in stdout.splitlines() if line.strip()]
    try:
        last = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return last if isinstance(last, dict) else None


def _text(raw: bytes | str | None) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else raw or ""
