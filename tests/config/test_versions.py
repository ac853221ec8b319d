"""Which library versions a project runs on."""

from __future__ import annotations

import pytest

from sessionlint.config.versions import VersionRange, parse_target, resolve

PROJECT = '[project]\nname = "x"\ndependencies = ["fastapi[all]>=0.115,<1", "SQLAlchemy~=2.0.30"]\n'


def test_declared_range(write):
    versions = resolve(write({"pyproject.toml": PROJECT}))
    fastapi = versions["fastapi"]
    assert (fastapi.exact, fastapi.spec, fastapi.source) == (None, ">=0.115,<1", "pyproject.toml")
    assert fastapi.admits("0.106", "0.118")
    assert fastapi.admits("0.118", "99")
    assert not fastapi.admits("0", "0.106")
    assert versions["sqlalchemy"].admits("2.0", "2.1")
    assert not versions["sqlalchemy"].admits("2.1", "3")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("uv.lock", 'version = 1\n[[package]]\nname = "fastapi"\nversion = "0.128.0"\n'),
        ("poetry.lock", '[[package]]\nname = "FastAPI"\nversion = "0.128.0"\n'),
        ("pdm.lock", '[[package]]\nname = "fastapi"\nversion = "0.128.0"\n'),
        ("pylock.toml", 'lock-version = "1.0"\n[[packages]]\nname = "fastapi"\nversion = "0.128.0"\n'),
        ("Pipfile.lock", '{"default": {"FastAPI": {"hashes": [], "version": "==0.128.0"}}, "develop": {}}'),
        ("requirements.lock", "anyio==4.9.0\nfastapi[all]==0.128.0 \\\n    --hash=sha256:00\n    # via x\n"),
        ("requirements.txt", "# pip freeze\nanyio==4.9.0\nfastapi==0.128.0 ; python_version > '3.8'\n"),
    ],
)
def test_a_lock_file_decides(write, name, content):
    fastapi = resolve(write({"pyproject.toml": PROJECT, name: content}))["fastapi"]
    assert (fastapi.exact, fastapi.spec, fastapi.source) == ("0.128.0", ">=0.115,<1", name)
    assert not fastapi.admits("0.106", "0.118")
    assert fastapi.declared_admits("0.106", "0.118")
    assert str(fastapi) == "fastapi >=0.115,<1 (lock: 0.128.0)"


@pytest.mark.parametrize("content", ["fastapi==0.128.0\nanyio>=4\n", "", "# nothing\n"])
def test_requirements_beside_a_declared_range_lock_only_where_all_is_pinned(write, content):
    fastapi = resolve(write({"pyproject.toml": PROJECT, "requirements.txt": content}))["fastapi"]
    assert (fastapi.exact, fastapi.spec) == (None, ">=0.115,<1")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"default": []}', '{"default": {"fastapi": {"version": 3}}}'])
def test_a_broken_pipfile_lock_is_as_good_as_absent(write, content):
    assert resolve(write({"pyproject.toml": PROJECT, "Pipfile.lock": content}))["fastapi"].exact is None


@pytest.mark.parametrize(
    ("line", "exact", "spec"),
    [
        ("fastapi==0.110.3", "0.110.3", "==0.110.3"),
        ("fastapi == 0.110.3 ; python_version > '3.8'  # why", "0.110.3", "==0.110.3"),
        ("fastapi==0.110.3 --hash=sha256:00", "0.110.3", "==0.110.3"),
        ("fastapi==0.110.*", None, "==0.110.*"),
        ("fastapi>=0.110", None, ">=0.110"),
        ("fastapi", None, None),
        ("-r other.txt", None, None),
        ("git+https://example.org/fastapi", None, None),
    ],
)
def test_requirements(write, line, exact, spec):
    fastapi = resolve(write({"requirements-dev.txt": line + "\n"}))["fastapi"]
    assert (fastapi.exact, fastapi.spec) == (exact, spec)


@pytest.mark.parametrize(
    ("text", "spec"),
    [("^0.115", ">=0.115,<0.116"), ("^2.0.1", ">=2.0.1,<3"), ("~2.0", ">=2.0,<2.1"), ("2.0.1", "==2.0.1"), ("*", None)],
)
def test_poetry(write, text, spec):
    root = write({"pyproject.toml": f'[tool.poetry.dependencies]\nsqlalchemy = {{ version = "{text}" }}\n'})
    assert resolve(root)["sqlalchemy"].spec == spec


def test_pinned_in_pyproject(write):
    root = write({"pyproject.toml": '[project]\nname = "x"\ndependencies = ["fastapi==0.128.0"]\n'})
    fastapi = resolve(root)["fastapi"]
    assert fastapi.exact == "0.128.0"
    assert not fastapi.admits("0.106", "0.118")
    assert str(fastapi) == "fastapi 0.128.0 (pyproject.toml)"


def test_target_wins(write):
    root = write({"pyproject.toml": PROJECT})
    assert resolve(root, (("fastapi", "0.100"),))["fastapi"].admits("0", "0.106")
    assert resolve(root, (("fastapi", "<0.106"),))["fastapi"].admits("0", "0.106")
    assert parse_target("fastapi", "new") is None


def test_nothing_declared_admits_everything(tmp_path):
    assert resolve(tmp_path)["fastapi"] == VersionRange("fastapi")
    assert VersionRange("fastapi").admits("0.1", "0.2")


@pytest.mark.parametrize(
    ("spec", "low", "high", "answer"),
    [
        (">0.105", "0.105", "0.106", True),
        (">=0.118", "0.106", "0.118", False),
        ("!=0.106,>=0.106", "0.106", "0.118", True),
        ("<0.106", "0.106", "0.118", False),
        ("<=0.106", "0.106", "0.118", True),
        ("==0.115.*", "0.106", "0.118", True),
        ("~=0.104.0", "0.106", "0.118", False),
    ],
)
def test_ranges(spec, low, high, answer):
    assert VersionRange("fastapi", spec=spec).admits(low, high) is answer


def test_broken_files_are_as_good_as_absent(write):
    root = write({"pyproject.toml": "[", "uv.lock": b"\xff", "requirements.txt": b"\xff\xfe fastapi ???\n"})
    assert resolve(root)["fastapi"] == VersionRange("fastapi")
