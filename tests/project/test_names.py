"""Names across files: what an import in one file means in another."""

from __future__ import annotations

import pytest

from sessionlint.facts import FileFacts, extract
from sessionlint.project import symbols as sym
from sessionlint.project import values as v
from sessionlint.project.infer import Inference


def project(files: dict[str, str]) -> Inference:
    facts = [extract(path, text.encode()) for path, text in files.items()]
    return Inference(sym.SymbolTable([f for f in facts if isinstance(f, FileFacts)]))


def meaning(files: dict[str, str], path: str, name: str) -> str:
    """What ``name`` means at the top of ``path``: the definition's key, or the outside path."""
    infer = project(files)
    symbol = infer.table.lookup(infer.table.modules[path], name)
    if isinstance(symbol, (sym.Function, sym.Class)):
        return symbol.key
    if isinstance(symbol, sym.Global):
        return f"{symbol.module.path}:{symbol.name}"
    return symbol.dotted if isinstance(symbol, (sym.External, sym.Module)) else "nothing"


REPO = "class Repo: ...\n"


@pytest.mark.parametrize(
    ("files", "path", "expected"),
    [
        ({"app/a.py": REPO, "app/b.py": "from app.a import Repo as X"}, "app/b.py", "app/a.py::Repo"),
        ({"app/a.py": REPO, "app/x/b.py": "from ..a import Repo as X"}, "app/x/b.py", "app/a.py::Repo"),
        ({"app/__init__.py": "from .a import Repo", "app/a.py": REPO, "m.py": "from app import Repo as X"}, "m.py",
         "app/a.py::Repo"),
        ({"app/a.py": REPO, "app/b.py": "from .a import *", "m.py": "from app.b import Repo as X"}, "m.py",
         "app/a.py::Repo"),
        ({"app/a.py": "__all__ = ['y']\nclass X: ...\ny = 1", "m.py": "from app.a import *"}, "m.py", "nothing"),
        ({"src/app/a.py": REPO, "src/app/b.py": "from app.a import Repo as X"}, "src/app/b.py", "src/app/a.py::Repo"),
        ({"server/app/a.py": REPO, "server/app/b.py": "from app.a import Repo as X"}, "server/app/b.py",
         "server/app/a.py::Repo"),
        ({"app/redis.py": "X = 1", "app/b.py": "from redis import X", "app/c.py": "import app.b"}, "app/b.py",
         "redis.X"),
        ({"a.py": "from b import X", "b.py": "from a import X"}, "a.py", "nothing"),
        ({"a.py": "if True:\n    from sqlalchemy.orm import Session as X"}, "a.py", "sqlalchemy.orm.Session"),
        ({"a.py": "X = None\ndef init():\n    global X\n    X = make()"}, "a.py", "a.py:X"),
    ],
    ids=["absolute", "relative", "re-export", "star", "star with __all__", "src layout", "package below the root",
         "a module named like a library", "import cycle", "conditional import", "rebound global"],
)  # fmt: skip
def test_imports(files: dict[str, str], path: str, expected: str) -> None:
    assert meaning(files, path, "X") == expected


def test_a_factory_rebound_through_global_is_a_factory() -> None:
    infer = project(
        {
            "db.py": "from sqlalchemy.ext.asyncio import async_sessionmaker\n"
            "maker = None\n"
            "def init(engine):\n    global maker\n    maker = async_sessionmaker(engine)\n"
        }
    )
    value = infer.global_value(infer.table.modules["db.py"], "maker")
    assert value == v.Factory(True, "maker")


def test_a_session_is_followed_through_constructors() -> None:
    infer = project(
        {
            "app.py": "from sqlalchemy.orm import Session\n"
            "class Repo:\n    def __init__(self, db: Session): self._db = db\n"
            "class Service:\n    def __init__(self, repo): self.repo = repo\n"
            "def build(db: Session): return Service(repo=Repo(db))\n"
        }
    )
    built = infer.returns(infer.table.functions["app.py::build"])
    assert infer.holds(built) == {v.Origin("param", "db")}


def test_an_alias_with_a_dependency_is_seen_through() -> None:
    infer = project(
        {
            "app.py": "from typing import Annotated\nfrom fastapi import Depends\n"
            "from sqlalchemy.orm import Session\n"
            "def get_db(): ...\nDb = Annotated[Session, Depends(get_db, scope='function')]\n"
            "def route(db: Db): ...\n"
        }
    )
    route = infer.table.functions["app.py::route"]
    dependency = infer.dependency(route, route.parameters["db"])
    assert dependency is not None and dependency.scope == "function"
    assert isinstance(dependency.target, v.FunctionRef) and dependency.target.function.name == "get_db"
    assert infer.parameter(route, "db") == v.Session(False, v.Origin("param", "db"))
