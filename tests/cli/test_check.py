"""``check``: exit codes, streams, suppressions, filters and the cache, with one stand-in rule."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import FakeRule, fail

APP = "def save(db):\n    db.commit()\n"


def test_clean_project(cli, write):
    write({"pyproject.toml": "", "app.py": "x = 1\n"})
    ran = cli("check")
    assert ran.code == 0
    assert ran.stdout == ""
    assert "Found no findings." in ran.stderr
    assert "Checked 1 file (1 analysed)" in ran.stderr
    assert "1 call unresolved: sessionlint show unresolved" in ran.stderr


def test_findings_on_stdout_and_all_else_on_stderr(cli, write):
    write({"pyproject.toml": "", "app.py": APP})
    ran = cli()
    assert ran.code == 1
    assert ran.stdout.startswith("SES201 [*] `Repo.save` commits\n --> app.py:2:8\n")
    assert "Found 1 finding (1 error) in 1 file. [*] 1 may be repaired by sessionlint fix." in ran.stderr
    assert "1 session factory (maker), 1 provider (get_db), 0 repositories, 1 model\n" in ran.stderr


def test_no_beliefs_with_a_configuration(cli, write):
    write({"pyproject.toml": "[tool.sessionlint]\n", "app.py": APP})
    assert "session factory" not in cli("check").stderr


def test_json_only_json(cli, write):
    write({"pyproject.toml": "", "app.py": APP})
    ran = cli("check", "--output-format", "json", "--no-cache")
    assert ran.code == 1
    document = json.loads(ran.stdout)
    assert document["schema_version"] == 1
    (finding,) = document["findings"]
    assert (finding["file"], finding["line"], finding["column"]) == ("app.py", 2, 8)
    assert len(finding["fingerprint"]) == 20
    assert ran.stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ouput-format", "json"], "--output-format"),
        (["--output-format", "jsn"], "did you mean `json`?"),
        (["--select", "SES999"], "unknown rule `SES999`"),
        (["--select", "commit-in-repositry"], "did you mean `commit-in-repository`?"),
        (["chek"], "did you mean `check`?"),
        (["check", "nowhere.py"], "no such file or folder: `nowhere.py`"),
        (["--fail-on", "warn"], "did you mean `warning`?"),
        (["--config", "nowhere.toml"], "no such configuration file"),
        (["--jobs", "x"], "jobs"),
        (["check", "/"], "no Python files"),
    ],
)
def test_wrong_usage(cli, write, words, message):
    write({"pyproject.toml": "", "app.py": APP})
    if words == ["check", "/"]:
        words = ["check", "empty"]
        Path("empty").mkdir()
    ran = cli(*words)
    assert ran.code == 2
    assert ran.stdout == ""
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_empty_project(cli, write):
    write({"pyproject.toml": ""})
    ran = cli()
    assert ran.code == 2
    assert "no Python files" in ran.stderr


def test_paths_filter_the_report_only(cli, write):
    write({"pyproject.toml": "", "a/one.py": APP, "b/two.py": APP})
    ran = cli("check", "b")
    assert "b/two.py:2:8" in ran.stdout
    assert "a/one.py" not in ran.stdout
    assert "Checked 2 files (2 analysed)" in ran.stderr


def test_tests_are_analysed_but_not_reported(cli, write):
    write({"pyproject.toml": "", "app.py": "x = 1\n", "tests/test_app.py": APP})
    assert cli("check").code == 0
    assert cli("check", "tests").code == 1
    write({"pyproject.toml": "[tool.sessionlint]\ntests = true\n"})
    assert cli("check").code == 1


def test_broken_files_are_one_finding_each(cli, write):
    write(
        {
            "pyproject.toml": "",
            "app.py": APP,
            "broken.py": "x = (\n\ndef\n",
            "latin.py": b"# ok\nname = '\xe9'\n",
            "null.py": b"x = 1\0\n",
            "cookie.py": b"# -*- coding: nonsense -*-\nx = 1\n",
            "bom.py": b"\xef\xbb\xbfx = 1\r\n",
            "deep.py": "x = " + "(" * 3000 + ")" * 3000 + "\n",
            "sum.py": "x = " + " + ".join(["1"] * 3000) + "\n",
        }
    )
    ran = cli("check", "--output-format", "json")
    findings = json.loads(ran.stdout)["findings"]
    broken = sorted(one["file"] for one in findings if one["code"] == "SES001")
    assert broken == ["broken.py", "cookie.py", "deep.py", "latin.py", "null.py"]
    assert [one["file"] for one in findings if one["code"] == "SES201"] == ["app.py"]
    (latin,) = [one for one in findings if one["file"] == "latin.py"]
    assert (latin["line"], latin["column"]) == (2, 9)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(cli, write):
    write({"pyproject.toml": "", "app.py": APP, "secret.py": "x = 1\n"})
    Path("secret.py").chmod(0)
    assert "SES001" in cli("check").stdout


def test_symlink_loop(cli, write):
    root = write({"pyproject.toml": "", "pkg/app.py": APP})
    (root / "pkg" / "loop").symlink_to(root)
    (root / "dangling.py").symlink_to(root / "nowhere.py")
    ran = cli("check", "--output-format", "concise")
    assert ran.stdout == "pkg/app.py:2:8: SES201 [*] `Repo.save` commits\n"


def test_suppressions(cli, write):
    write(
        {
            "pyproject.toml": "",
            "app.py": (
                "db.commit()  # noqa: SES201\n"
                "db.commit()  # noqa: F401, SES201\n"
                "db.commit()  # sessionlint: ignore[commit-in-repository] -- our own database\n"
                "# sessionlint: ignore[SES201]\n"
                "db.execute(\n    'x', db.commit(),\n)\n"
            ),
            "whole.py": "# sessionlint: ignore-file[SES201] -- generated\ndb.commit()\n",
            "wrong.py": "db.commit()  # noqa\nx = 1  # noqa: SES201\ndb.commit()  # sessionlint: ignore\n",
            "text.py": "x = '# noqa: SES201'\n",
        }
    )
    ran = cli("check", "--output-format", "concise")
    assert ran.stdout.splitlines() == [
        "wrong.py:1:4: SES201 [*] `Repo.save` commits",
        "wrong.py:2:8: SES002 [*] unused suppression of `SES201`: nothing is found here",
        "wrong.py:3:4: SES201 [*] `Repo.save` commits",
        "wrong.py:3:14: SES003 this suppression names no rule, so it suppresses nothing",
    ]


def test_unused_is_said_only_of_rules_that_ran(cli, write):
    write({"pyproject.toml": "", "app.py": "x = 1  # noqa: SES201\n"})
    assert cli("check", "--ignore", "SES201").code == 0
    assert "SES002" in cli("check").stdout


def test_per_file_ignores(cli, write):
    write(
        {
            "pyproject.toml": '[tool.sessionlint.per-file-ignores]\n"scripts/**" = ["SES201"]\n',
            "scripts/deep/a.py": APP,
            "app.py": APP,
        }
    )
    assert cli("check", "--output-format", "concise").stdout.startswith("app.py:2:8")


def test_a_rule_that_raises(cli, write, pipeline):
    write({"pyproject.toml": "", "app.py": APP})
    pipeline.append(FakeRule("SES999", "broken", fail))
    ran = cli("check")
    assert ran.code == 1
    assert "SES201" in ran.stdout
    assert "rule SES999 broken failed and was skipped: ValueError: a fault of the rule" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert cli("check", "--ignore", "SES201").code == 3


def test_exit_zero_and_fail_on(cli, write):
    write({"pyproject.toml": "", "app.py": "x = 1  # noqa: SES201\n"})
    assert cli("check").code == 1
    assert cli("check", "--fail-on", "error").code == 0
    assert cli("check", "--exit-zero").code == 0


def test_statistics(cli, write):
    write({"pyproject.toml": "", "app.py": APP})
    assert cli("check", "--statistics").stdout == "1  SES201  commit-in-repository\n"


def test_github(cli, write, tmp_path, monkeypatch):
    write({"pyproject.toml": "", "app.py": APP})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    ran = cli("check")
    assert ran.stdout.startswith("::error file=app.py,line=2,endLine=2,col=8,endColumn=16,title=SES201 commit")
    assert "| SES201 | error | `app.py:2` |" in summary.read_text()


def test_bad_configuration(cli, write):
    write({"pyproject.toml": '[tool.sessionlint]\ningore = ["SES201"]\nselect = ["SES9"]\n', "app.py": APP})
    ran = cli("check")
    assert ran.code == 2
    assert "2 | ingore" in ran.stderr
    assert "did you mean `ignore`?" in ran.stderr
    assert "unknown rule `SES9`" in ran.stderr
    assert cli("check", "--isolated").code == 1


def _age(root: Path) -> None:
    """Make all files old enough for a stored answer to be trusted."""
    for path in [root, *root.rglob("*")]:
        os.utime(path, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))


def test_an_unchanged_project_is_answered_from_the_cache(cli, write, monkeypatch):
    root = write({"pyproject.toml": "", "app.py": APP})
    (root / ".sessionlint_cache").mkdir()
    _age(root)
    first = cli("check")
    assert (root / ".sessionlint_cache" / ".gitignore").read_text() == "*\n"
    monkeypatch.setattr("sessionlint.cli.app.run", lambda words: 99)
    again = cli("check")
    assert (again.code, again.stdout) == (first.code, first.stdout)
    assert "Checked 1 file" in again.stderr
    assert cli("check", "--no-cache").code == 99
    (root / "app.py").write_text("x = 1\n")
    assert cli("check").code == 99


@pytest.mark.parametrize("change", ["new file", "configuration", "new folder", "lock file", "gitignore"])
def test_what_invalidates_a_stored_answer(cli, write, monkeypatch, change):
    root = write({"pyproject.toml": "", "pkg/app.py": APP})
    (root / ".sessionlint_cache").mkdir()
    _age(root)
    cli("check")
    monkeypatch.setattr("sessionlint.cli.app.run", lambda words: 99)
    assert cli("check").code == 1
    made = {
        "new file": "pkg/other.py",
        "configuration": "pyproject.toml",
        "new folder": "pkg/sub/x.py",
        "lock file": "uv.lock",
        "gitignore": "pkg/.gitignore",
    }[change]
    (root / made).parent.mkdir(exist_ok=True)
    (root / made).write_text("[project]\n")
    assert cli("check").code == 99


def test_damaged_caches_are_ignored(cli, write):
    root = write({"pyproject.toml": "", "app.py": APP})
    (root / ".sessionlint_cache").mkdir()
    _age(root)
    first = cli("check")
    for path in (root / ".sessionlint_cache").iterdir():
        if path.suffix == ".bin":
            path.write_bytes(path.read_bytes()[:-5] + b"?????")
    again = cli("check")
    assert (again.code, again.stdout) == (first.code, first.stdout)


def test_unusable_cache_folder(cli, write):
    root = write({"pyproject.toml": "", "app.py": APP})
    (root / ".sessionlint_cache").write_text("a file, not a folder")
    ran = cli("check")
    assert ran.code == 1
    assert ran.stderr.count("cannot be written") == 1


def _spawn(*words: str, **options):
    return subprocess.run([sys.executable, "-m", "sessionlint", *words], capture_output=True, text=True, **options)


def test_version_loads_nothing(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "sessionlint", "--version"], capture_output=True, text=True
    )
    assert ran.stdout.startswith("sessionlint ")
    for module in ("typer", "rich", "libcst", "tomli", "dataclasses"):
        assert f" {module}\n" not in ran.stderr


def test_empty_project_in_a_process(tmp_path):
    ran = _spawn(cwd=tmp_path)
    assert ran.returncode == 2
    assert "no Python files" in ran.stderr


def test_broken_pipe_is_quiet(tmp_path):
    script = f"{sys.executable} -m sessionlint show config | head -n 1"
    ran = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ran.stderr == ""


def test_help(cli):
    ran = cli("--help")
    assert ran.code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_no_fault_of_ours(write):
    folder = write({"pyproject.toml": "", "app.py": "from sqlalchemy import nothing\nx = (\n"})
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "sessionlint", "check", "--no-cache"]
        ran = subprocess.run(words, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (ran.returncode, ran.stderr.splitlines()[-1]) == (2, "error: cannot write: No space left on device")
