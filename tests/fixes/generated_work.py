"""Programs made at random for tests of repairs: functions that own, borrow and loop over sessions, and call each other.

Each program is two files over a SQLite database; running it gives the rows it left and the exception it ended with.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

STORE = """\
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(URL, connect_args={"timeout": 0.05})
maker = sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)
    tag: Mapped[str]


def get_db():
    with maker() as db:
        try:
            yield db
            db.commit()
        except Exception:
            db.rollback()
            raise
"""


@dataclass(frozen=True)
class Run:
    """What a run left behind: the tags of all rows, and the name of the exception it ended with."""

    rows: tuple[str, ...]
    error: str


@st.composite
def programs(draw: st.DrawFn) -> dict[str, str]:
    """File name -> text. Functions call only functions defined before them, so every program ends."""
    count = draw(st.integers(2, 5))
    kinds = [draw(st.sampled_from(["owns", "borrows", "borrows", "loops"])) for _ in range(count)]
    lines = [
        "from sqlalchemy.orm import Session",
        "",
        "from app.store import Row, get_db, maker",
        "",
        "",
        "def fails(flag: bool) -> None:",
        "    if flag:",
        '        raise ValueError("asked to")',
    ]
    for index, kind in enumerate(kinds):
        lines += ["", "", *_function(draw, index, kind, kinds)]
    calls = [i for i, kind in enumerate(kinds) if kind != "borrows"]
    lines += ["", "", "def main(flag: bool) -> None:"]
    lines += [f"    step_{i}(flag)" for i in calls] or ["    fails(flag)"]
    if any(kind == "borrows" for kind in kinds):
        lines += ["    with maker() as db:"]
        lines += [f"        step_{i}(db, flag)" for i, kind in enumerate(kinds) if kind == "borrows"]
        lines += ["        db.commit()"] if draw(st.booleans()) else []
    lines += ["", "", 'if __name__ == "__main__":', "    main(False)"]
    return {"app/store.py": STORE, "app/work.py": "\n".join(lines) + "\n"}


def _function(draw: st.DrawFn, index: int, kind: str, kinds: list[str]) -> list[str]:
    body = _body(draw, index, kinds)
    commits = ["db.commit()"] if draw(st.booleans()) else []
    if kind == "borrows":
        head = [f"def step_{index}(db: Session, flag: bool) -> int:"]
        return [*head, *_indented(body + commits, 1), "    return len(db.new)"]
    head = [f"def step_{index}(flag: bool) -> int:"]
    if kind == "owns":
        leave = ["return 1"] if draw(st.booleans()) else []
        return [*head, "    with maker() as db:", *_indented(body + commits + leave, 2), "    return 0"]
    leave = [draw(st.sampled_from(["return 1", "break", "pass"]))]
    return [*head, "    for db in get_db():", *_indented(body + commits + leave, 2), "    return 0"]


def _body(draw: st.DrawFn, index: int, kinds: list[str]) -> list[str]:
    lines: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        choice = draw(st.sampled_from(["add", "add", "flush", "branch", "call", "fail"]))
        tag = f"{index}.{number}"
        if choice == "add":
            lines.append(f'db.add(Row(tag="{tag}"))  # row {tag}')
        elif choice == "flush":
            lines.append("db.flush()")
        elif choice == "branch":
            lines += ["if flag:", f'    db.add(Row(tag="{tag}"))']
        elif choice == "fail":
            lines.append("fails(flag)")
        elif index:
            callee = draw(st.integers(0, index - 1))
            given = "db, flag" if kinds[callee] == "borrows" else "flag"
            lines.append(f"step_{callee}({given})")
    return lines or ["db.flush()"]


def _indented(lines: list[str], depth: int) -> list[str]:
    return ["    " * depth + line for line in lines]


def run(files: Mapping[str, str], database: Path, flag: bool) -> Run:
    """Run ``main(flag)`` of a program on a fresh database, in this process."""
    database.unlink(missing_ok=True)
    saved = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "app" or name.startswith("app.")}
    try:
        package = types.ModuleType("app")
        package.__path__ = []
        sys.modules["app"] = package
        modules = {}
        for file in ("app/store.py", "app/work.py"):
            name = file.removesuffix(".py").replace("/", ".")
            module = modules[name] = types.ModuleType(name)
            module.__dict__["URL"] = f"sqlite:///{database}"
            sys.modules[name] = module
            exec(compile(files[file], file, "exec"), module.__dict__)
        store, work = modules["app.store"], modules["app.work"]
        store.Base.metadata.create_all(store.engine)
        error = ""
        try:
            work.main(flag)
        except Exception as raised:
            error = type(raised).__name__
        import gc

        gc.collect()
        with store.engine.connect() as connection:
            rows = connection.exec_driver_sql("select tag from rows order by tag").scalars().all()
        store.engine.dispose()
        return Run(tuple(rows), error)
    finally:
        for name in ("app", "app.store", "app.work"):
            sys.modules.pop(name, None)
        sys.modules.update(saved)
