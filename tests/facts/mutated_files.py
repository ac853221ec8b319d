"""Hypothesis strategies for real files with random lines or tokens deleted, doubled, swapped or moved."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import strategies as st

PROJECT = Path(__file__).parents[2] / "fixtures" / "agent_runtime"
FILES = {
    path.relative_to(PROJECT).as_posix(): path.read_bytes().decode("utf-8", "replace")
    for path in sorted((PROJECT / "app").rglob("*.py"))
}
_TOKEN = re.compile(r"\w+|[ \t]+|\n|.", re.DOTALL)
_CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["line", "line", "token"]),
        st.sampled_from(["delete", "double", "swap", "move", "indent"]),
        st.integers(0, 100_000),
        st.integers(0, 100_000),
    ),
    min_size=1,
    max_size=4,
)


def _changed(text: str, changes: list[tuple[str, str, int, int]]) -> str:
    for unit, change, one, other in changes:
        pieces = text.splitlines(keepends=True) if unit == "line" else _TOKEN.findall(text)
        if not pieces:
            break
        at, to = one % len(pieces), other % len(pieces)
        if change == "delete":
            del pieces[at]
        elif change == "double":
            pieces.insert(at, pieces[at])
        elif change == "swap":
            pieces[at], pieces[to] = pieces[to], pieces[at]
        elif change == "move":
            pieces.insert(to, pieces.pop(at))
        else:
            pieces[at] = "    " + pieces[at] if other % 2 else pieces[at].removeprefix("    ")
        text = "".join(pieces)
    return text


def mutated(files: dict[str, str]) -> st.SearchStrategy[dict[str, str]]:
    """The same files, one of them changed."""
    return st.builds(
        lambda name, changes: {**files, name: _changed(files[name], changes)}, st.sampled_from([*files]), _CHANGES
    )


#: (name of a file of the fixture, what became of its text)
MUTATED = st.builds(lambda name, changes: (name, _changed(FILES[name], changes)), st.sampled_from([*FILES]), _CHANGES)
