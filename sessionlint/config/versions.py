"""Which FastAPI and SQLAlchemy a project runs on: explicit target, else the lock file, else the declared range.

A lock file decides. A pin in ``requirements*.txt`` counts as declared. Must not import or ask for installed packages:
the environment of the tool is not that of the project.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tomli
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LIBRARIES = ("fastapi", "sqlalchemy")
LOCK_FILES = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")
#: files of pins that a tool wrote and a deployment installs from
FROZEN_FILES = ("requirements.lock", "requirements-lock.txt", "requirements.lock.txt", "constraints.txt")


@dataclass(frozen=True)
class VersionRange:
    """What is known about a library's version.

    ``exact`` is the version of the target or lock file, or of an ``==`` pin; ``spec`` the declared range (PEP 440);
    ``source`` the file or option that said so, ``not declared`` when nothing did.
    """

    name: str
    exact: str | None = None
    spec: str | None = None
    source: str = "not declared"

    def admits(self, low: str, high: str) -> bool:
        """Whether some version in [low, high) may be in use: the exact one if known, else the declared range."""
        if self.exact is not None:
            return Version(low) <= Version(self.exact) < Version(high)
        return self.declared_admits(low, high)

    def declared_admits(self, low: str, high: str) -> bool:
        """The same by the declared range alone; a lock file may be narrower than what users may install."""
        if self.spec is None:
            return self.exact is None or Version(low) <= Version(self.exact) < Version(high)
        specifiers = SpecifierSet(self.spec)
        first, last = Version(low), Version(high)
        return any(first <= version < last and version in specifiers for version in _candidates(specifiers, first))

    def __str__(self) -> str:
        if self.exact is not None and self.spec is not None and self.spec != f"=={self.exact}":
            return f"{self.name} {self.spec} (lock: {self.exact})"
        if self.exact is not None:
            return f"{self.name} {self.exact} ({self.source})"
        return f"{self.name} {self.spec} ({self.source})" if self.spec else f"{self.name} (version not declared)"


def _candidates(specifiers: SpecifierSet, low: Version) -> Iterator[Version]:
    """Versions at which the answer of a specifier set can change, and the one just above each."""
    yield low
    for specifier in specifiers:
        base = Version(specifier.version.removesuffix(".*"))
        yield base
        release = base.release if len(base.release) > 2 else (*base.release, *([0] * (3 - len(base.release))))
        yield Version(".".join(map(str, (*release[:-1], release[-1] + 1))))
    yield Version(".".join(map(str, (*low.release, 1))))


def parse_target(name: str, text: str) -> VersionRange | None:
    """A target given in the configuration: a version or a range; None when it is neither."""
    try:
        return VersionRange(name, exact=str(Version(text)), source="target")
    except InvalidVersion:
        pass
    try:
        return VersionRange(name, spec=str(SpecifierSet(text)), source="target")
    except InvalidSpecifier:
        return None


def resolve(root: Path, target: tuple[tuple[str, str], ...] = ()) -> dict[str, VersionRange]:
    """The version of each library for the project at ``root``; unreadable files are as good as absent."""
    explicit = {name: found for name, text in target if (found := parse_target(name, text))}
    locked, declared = _locked(root), _declared(root)
    for member in () if locked or declared else _members(root):
        locked, declared = _locked_in(member), _declared(member)
        if locked or declared:
            break
    out: dict[str, VersionRange] = {}
    for name in LIBRARIES:
        if name in explicit:
            out[name] = explicit[name]
            continue
        spec, source = declared.get(name, (None, "not declared"))
        if name in locked:
            exact, lock = locked[name]
            out[name] = VersionRange(name, exact=exact, spec=spec, source=lock)
        else:
            out[name] = VersionRange(name, exact=_pin(spec), spec=spec, source=source)
    return out


def _pin(spec: str | None) -> str | None:
    match = re.fullmatch(r"={2,3}\s*([^*,\s]+)", spec or "")
    return match[1] if match and _is_version(match[1]) else None


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomli.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError):
        return {}


def _locked(root: Path) -> dict[str, tuple[str, str]]:
    for folder in _upward(root):
        found = _locked_in(folder)
        if found:
            return found
    return {}


def _locked_in(folder: Path) -> dict[str, tuple[str, str]]:
    """What the lock files of one folder say."""
    out: dict[str, tuple[str, str]] = {}
    for name in LOCK_FILES:
        if (folder / name).is_file():
            parsed = _toml(folder / name)
            packages = parsed.get("package") or parsed.get("packages")
            for row in packages if isinstance(packages, list) else ():
                if isinstance(row, dict) and isinstance(row.get("version"), str):
                    library = canonicalize_name(str(row.get("name", "")))
                    if library in LIBRARIES and _is_version(row["version"]):
                        out.setdefault(library, (row["version"], name))
    for source, pinned, version in (*_pipfile_lock(folder), *_frozen(folder)):
        if pinned in LIBRARIES and _is_version(version):
            out.setdefault(pinned, (version, source))
    return out


def _pipfile_lock(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(file, library, version) of ``Pipfile.lock``."""
    try:
        parsed = json.loads((folder / "Pipfile.lock").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return
    packages = parsed.get("default") if isinstance(parsed, dict) else None
    for name, row in packages.items() if isinstance(packages, dict) else ():
        version = row.get("version") if isinstance(row, dict) else None
        if isinstance(version, str):
            yield "Pipfile.lock", str(canonicalize_name(name)), version.removeprefix("==")


def _frozen(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(file, library, version) of what ``pip freeze`` or ``pip-compile`` wrote: pins in a file named as a lock.

    Where ``pyproject.toml`` declares the ranges, a ``requirements.txt`` that holds nothing but pins is one as well.
    """
    declares = (folder / "pyproject.toml").is_file()
    for name in (*FROZEN_FILES, *(("requirements.txt",) if declares else ())):
        try:
            text = (folder / name).read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            continue
        lines = [line.strip() for line in text.splitlines() if re.match(r"\s*[A-Za-z0-9]", line)]
        if name == "requirements.txt" and not all("==" in line for line in lines):
            continue
        for match in re.finditer(r"(?m)^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", text):
            yield name, str(canonicalize_name(match[1])), match[2]


def _members(root: Path) -> Iterator[Path]:
    """Folders right below a root that declares nothing itself: ``backend/``, ``server/``."""
    try:
        yield from sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return


def _upward(root: Path) -> Iterator[Path]:
    """The root and, for members of a workspace, the folders above it up to the repository."""
    yield root
    folder = root
    while not (folder / ".git").exists() and folder != folder.parent:
        folder = folder.parent
        if (folder / ".git").exists() or (folder / "pyproject.toml").is_file():
            yield folder


def _declared(root: Path) -> dict[str, tuple[str, str]]:
    out: dict[str, tuple[str, str]] = {}
    for source, text in (*_from_pyproject(root), *_from_requirements(root), *_from_setup(root)):
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        library = canonicalize_name(requirement.name)
        if library == "sqlmodel" or library not in LIBRARIES:
            continue
        if str(requirement.specifier):
            out.setdefault(library, (_ordered(requirement.specifier), source))
    return out


def _ordered(specifiers: SpecifierSet) -> str:
    """Lower bounds first, as people write them."""
    return ",".join(sorted((str(one) for one in specifiers), key=lambda one: (one[0] in "<!", one)))


def _from_pyproject(root: Path) -> Iterator[tuple[str, str]]:
    parsed = _toml(root / "pyproject.toml")
    source = "pyproject.toml"
    project = parsed.get("project")
    if isinstance(project, dict):
        yield from ((source, line) for line in _lines(project.get("dependencies")))
        extras = project.get("optional-dependencies")
        for group in extras.values() if isinstance(extras, dict) else ():
            yield from ((source, line) for line in _lines(group))
    groups = parsed.get("dependency-groups")
    for group in groups.values() if isinstance(groups, dict) else ():
        yield from ((source, line) for line in _lines(group))
    tool = parsed.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    if isinstance(poetry, dict):
        tables = [poetry.get("dependencies"), poetry.get("dev-dependencies")]
        tables += [group.get("dependencies") for group in (poetry.get("group") or {}).values()]
        for table in tables:
            for name, value in table.items() if isinstance(table, dict) else ():
                version = value.get("version") if isinstance(value, dict) else value
                if isinstance(version, str):
                    yield source, f"{name} {_from_poetry(version)}"


def _lines(value: object) -> list[str]:
    return [line for line in value if isinstance(line, str)] if isinstance(value, list) else []


def _from_poetry(version: str) -> str:
    """Poetry's own operators in PEP 440: ``^0.115`` is ``>=0.115,<0.116``, ``~2.0`` is ``>=2.0,<2.1``."""
    parts = []
    for part in version.split(","):
        text = part.strip()
        if text == "*":
            continue
        if text.startswith(("^", "~")) and not text.startswith("~="):
            base = text[1:].strip()
            if _is_version(base):
                parts.append(f">={base},<{_ceiling(Version(base).release, caret=text[0] == '^')}")
        elif text[:1].isdigit():
            parts.append(f"=={text}")
        elif text:
            parts.append(text)
    return ",".join(parts)


def _ceiling(release: tuple[int, ...], *, caret: bool) -> str:
    if caret:
        at = next((index for index, number in enumerate(release) if number), len(release) - 1)
    else:
        at = min(1, len(release) - 1)
    return ".".join(map(str, (*release[:at], release[at] + 1)))


def _from_requirements(root: Path) -> Iterator[tuple[str, str]]:
    for path in (*sorted(root.glob("requirements*.txt")), *sorted(root.glob("requirements/*.txt"))):
        try:
            text = path.read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            continue
        for line in text.replace("\\\n", " ").splitlines():
            requirement = re.split(r"\s#|^#|\s--", line, maxsplit=1)[0].strip()
            if requirement and not requirement.startswith("-"):
                yield path.relative_to(root).as_posix(), requirement


def _from_setup(root: Path) -> Iterator[tuple[str, str]]:
    """Requirement strings of setup.cfg and setup.py, read as text: neither file may be run."""
    for name in ("setup.cfg", "setup.py"):
        try:
            text = (root / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for match in re.finditer(r"(?im)^\s*[\"']?((?:fastapi|sqlalchemy)\b[^\"'#\n]*)", text):
            yield name, match[1].strip().rstrip(",")
