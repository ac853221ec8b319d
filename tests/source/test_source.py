"""Discovery, decoding and suppression comments."""

from __future__ import annotations

import os

import pytest

from sessionlint.source.discover import python_files
from sessionlint.source.read import ReadProblem, decode, lines_of, read
from sessionlint.source.roles import is_test
from sessionlint.source.root import find_root
from sessionlint.source.suppressions import suppressions


def test_root(write):
    root = write({"pyproject.toml": "", "a/b/c.py": "", "inner/setup.py": "", "inner/x.py": ""})
    assert find_root(str(root / "a" / "b" / "c.py")) == str(root)
    assert find_root(str(root / "inner")) == str(root / "inner")


def test_what_is_listed(write):
    root = write(
        {
            "pyproject.toml": "",
            ".gitignore": "ignored/\n*.gen.py\n!kept.gen.py\n",
            "a.py": "",
            "x.gen.py": "",
            "kept.gen.py": "",
            "ignored/b.py": "",
            "sub/.gitignore": "/only.py\n",
            "sub/only.py": "",
            "sub/deep/only.py": "",
            "other/only.py": "",
            ".hidden/c.py": "",
            "venv/d.py": "",
            "myenv/pyvenv.cfg": "",
            "myenv/d.py": "",
            "node_modules/e.py": "",
            "excluded/f.py": "",
            "note.txt": "",
            "stub.pyi": "",
        }
    )
    listing = python_files(str(root), exclude=["excluded"])
    assert listing.files == ("a.py", "kept.gen.py", "other/only.py", "sub/deep/only.py")
    assert "sub/deep" in listing.folders
    everything = python_files(str(root), respect_gitignore=False).files
    assert {"x.gen.py", "ignored/b.py", "excluded/f.py"} <= set(everything)
    assert "ignored/b.py" in python_files(str(root), named=["ignored"]).files
    assert "excluded/f.py" in python_files(str(root), exclude=["excluded"], named=["excluded/f.py"]).files


def test_gitignore_above_the_root(write):
    root = write({".git/HEAD": "", ".gitignore": "gen.py\n", "member/pyproject.toml": "", "member/gen.py": ""})
    (root / "member" / "a.py").write_text("")
    assert python_files(str(root / "member")).files == ("a.py",)
    (root / ".gitignore").write_text("member\n")
    assert python_files(str(root / "member")).files == ("a.py", "gen.py")


@pytest.mark.skipif(os.name != "posix", reason="needs pipes and links")
def test_odd_entries(write):
    root = write({"a.py": "", "pkg/b.py": ""})
    (root / "loop").symlink_to(root)
    (root / "alias.py").symlink_to(root / "a.py")
    (root / "gone.py").symlink_to(root / "nowhere.py")
    (root / "folder.py").mkdir()
    os.mkfifo(root / "pipe.py")
    assert python_files(str(root)).files == ("a.py", "pkg/b.py")


def test_read_a_vanished_file(tmp_path):
    answer = read(str(tmp_path), "gone.py")
    assert isinstance(answer, ReadProblem)
    assert "No such file" in answer.message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"x = 1\n", "x = 1\n"),
        (b"\xef\xbb\xbfx\r\n", "x\r\n"),
        (b"# -*- coding: latin-1 -*-\n'\xe9'\n", "# -*- coding: latin-1 -*-\n'é'\n"),
        (b"#!/x\n# vim: set fileencoding=cp1251 :\n\xff", "#!/x\n# vim: set fileencoding=cp1251 :\nя"),
        (b"x = 1\n# coding: latin-1\n\xc3\xa9", "x = 1\n# coding: latin-1\né"),
    ],
)
def test_decode(source, expected):
    assert decode("a.py", source) == expected


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [(b"ok\r\n\xc3\xa9 \xff\n", 2, 3), (b"# coding: nope\n", 1, 1), (b"# coding: hex\nzz", 1, 1)],
)
def test_undecodable(source, line, column):
    problem = decode("a.py", source)
    assert isinstance(problem, ReadProblem)
    assert (problem.line, problem.column) == (line, column)
    assert lines_of(source)


def test_lines_end_where_python_ends_them():
    assert lines_of("a\x0cb\u2028c\rd\r\ne\n".encode()) == ["a\x0cb\u2028c", "d", "e", ""]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("tests/a.py", True),
        ("app/tests/factories.py", True),
        ("test_a.py", True),
        ("a_test.py", True),
        ("conftest.py", True),
        ("app/contest.py", False),
        ("app/latest.py", False),
    ],
)
def test_tests(path, answer):
    assert is_test(path) is answer


def covered(text):
    return [(one.kind, one.codes, one.first, one.last) for one in suppressions(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x  # noqa: SES201\n", [("noqa", ("SES201",), 1, 1)]),
        ("x  # NOQA:ses201,F401 SES202\n", [("noqa", ("SES201", "SES202"), 1, 1)]),
        ("x  # type: ignore # noqa: SES201 -- because\n", [("noqa", ("SES201",), 1, 1)]),
        ("x  # noqa\n", []),
        ("x  # noqa: F401\n", []),
        ("x  # noqa: SES\n", [("noqa", (), 1, 1)]),
        ("x  # sessionlint: ignore\n", [("ignore", (), 1, 1)]),
        ("x  # sessionlint: ignore[]\n", [("ignore", (), 1, 1)]),
        ("x  # sessionlint: ignore[a-b, SES201] -- why\n", [("ignore", ("a-b", "SES201"), 1, 1)]),
        ("# sessionlint: ignore[a]\n\n# more\nf(\n  1,\n)\n", [("ignore", ("a",), 4, 6)]),
        ("f(\n  # sessionlint: ignore[a]\n  1,\n)\n", [("ignore", ("a",), 3, 3)]),
        ("# sessionlint: ignore-file[a]\n", [("ignore-file", ("a",), 1, 0)]),
        ("'''\n# noqa: SES201\n'''\n", []),
        ("def f(:\n  x = '\n  y  # noqa: SES201\n", [("noqa", ("SES201",), 3, 3)]),
    ],
)
def test_suppressions(text, expected):
    assert covered(text) == expected
