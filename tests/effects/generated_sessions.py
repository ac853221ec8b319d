"""Hypothesis strategies for small projects that use sessions in every way the analysis knows, right and wrong."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.effects.adversarial_programs import PRELUDE

_FUNCTIONS = ("f", "g", "h", "get_db", "provide", "stream")
_CLASSES = ("Repo", "Service", "Unit", "Model", "Thing")
_SESSIONS = st.sampled_from(
    ["db", "db", "db", "session", "self._db", "self.uow.session", "uow", "sessions[0]", "more['a']", "x", "x.db"]
)
_NAMES = st.sampled_from(["db", "session", "x", "y", "self._db", "self.x", "sessions", "more"])
_WORDS = st.sampled_from(_FUNCTIONS)
_TYPES = st.sampled_from(
    ["AsyncSession", "Session", "'AsyncSession'", "AsyncSession | None", "Repo", "Service", "Unit", "Model", "int",
     "list[AsyncSession]", "Annotated[AsyncSession, Depends(get_db)]", "Callable[[], AsyncSession]", "X"]
)  # fmt: skip

_ATOMS = st.one_of(
    _SESSIONS,
    _NAMES,
    _WORDS,
    st.sampled_from(
        [
            "maker()",
            "sync_maker()",
            "maker",
            "Model()",
            "Model(id=1)",
            "Repo(db)",
            "Service(Repo(db))",
            "Unit(maker)",
            "None",
            "1",
            "'a'",
            "[]",
            "{}",
            "unknown()",
            "get_db()",
            "select(Model)",
            "self",
            "TABLE['f']",
        ]
    ),
)


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}({})".format, _WORDS, inner),
        st.builds("await {}({}, {})".format, _WORDS, inner, inner),
        st.builds("{}(*{}, **{})".format, _WORDS, inner, inner),
        st.builds("({}).f({})".format, inner, inner),
        st.builds("({}).x".format, inner),
        st.builds("({})[{}]".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("[{}, *{}]".format, inner, inner),
        st.builds("{{'a': {}, **{}}}".format, inner, inner),
        st.builds("[{} for x in {} if {}]".format, inner, inner, inner),
        st.builds("(lambda db: {})".format, inner),
        st.builds("(y := {})".format, inner),
        st.builds("await asyncio.gather({}, {})".format, inner, inner),
        st.builds("asyncio.create_task({})".format, inner),
        st.builds("StreamingResponse({})".format, inner),
        st.builds("(await ({}))".format, inner),
        st.builds("(not {})".format, inner),
    )


_EXPRESSIONS = st.recursive(_ATOMS, _wider, max_leaves=4)
_EFFECTS = st.builds(
    "{}{}.{}".format,
    st.sampled_from(["await ", "await ", ""]),
    _SESSIONS,
    st.sampled_from(
        ["add(Model())", "add(x)", "commit()", "rollback()", "flush()", "close()", "execute(select(Model))",
         "delete(x)", "merge(x)", "begin()", "begin_nested()", "refresh(x)", "scalars(select(Model))",
         "run_sync(f)", "add_all([Model(), x])", "expunge_all()", "in_transaction()", "f()", "x.commit()"]
    ),
)  # fmt: skip
_SIMPLE = st.one_of(
    _EFFECTS,
    _EFFECTS,
    _EXPRESSIONS,
    st.builds("{} = {}".format, _NAMES, _EXPRESSIONS),
    st.builds("{}, *{} = {}".format, _NAMES, _NAMES, _EXPRESSIONS),
    st.builds("{} += {}".format, _NAMES, _EXPRESSIONS),
    st.builds("x: {} = {}".format, _TYPES, _EXPRESSIONS),
    st.builds("return {}".format, _EXPRESSIONS),
    st.builds("yield {}".format, _SESSIONS),
    st.builds("assert {}".format, _EXPRESSIONS),
    st.builds("del {}".format, _NAMES),
    st.builds("y = yield {}".format, _EXPRESSIONS),
    st.builds("background.add_task({}, {})".format, _WORDS, _SESSIONS),
    st.sampled_from(
        ["raise ValueError", "raise", "return", "pass", "break", "continue", "global maker", "import app.b as x",
         "from app.b import *", "yield", "from .a import f as x", "maker = maker()", "X = X"]
    ),
)  # fmt: skip


def _block(statements: list[str]) -> str:
    return "".join(f"    {line}\n" for statement in statements for line in statement.splitlines())


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.builds(_block, st.lists(inner, min_size=1, max_size=3))
    x = _EXPRESSIONS
    way = st.sampled_from(["", "async ", "async "])
    return st.one_of(
        st.builds("if {}:\n{}".format, x, body),
        st.builds("if {}:\n{}elif {}:\n{}else:\n{}".format, x, body, x, body, body),
        st.builds("while {}:\n{}else:\n{}".format, x, body, body),
        st.builds("while True:\n{}".format, body),
        st.builds("{}for {} in {}:\n{}".format, way, _NAMES, x, body),
        st.builds("{}with {} as {}:\n{}".format, way, x, _NAMES, body),
        st.builds("{}with maker() as db, db.begin() as y:\n{}".format, way, body),
        st.builds("{}with {}.begin():\n{}".format, way, _SESSIONS, body),
        st.builds("with suppress({}):\n{}".format, st.sampled_from(["Exception", "IntegrityError"]), body),
        st.builds(
            "try:\n{}except {}:\n{}".format,
            body,
            st.sampled_from(["Exception", "ValueError as x", "(IntegrityError, x)", "SQLAlchemyError as db"]),
            body,
        ),
        st.builds("try:\n{}except:\n{}else:\n{}finally:\n{}".format, body, body, body, body),
        st.builds("try:\n{}finally:\n{}".format, body, body),
        st.builds("match {}:\n    case Model(id=x) if {}:\n    {}    case [db, *_] | db:\n    {}".format, x, x,
                  body.map(_indented), body.map(_indented)),
        st.builds("{}def {}(db, *sessions, **more):\n{}".format, way, _WORDS, body),
    )  # fmt: skip


def _indented(block: str) -> str:
    return "".join(f"    {line}\n" for line in block.splitlines()).removeprefix("    ")


_STATEMENTS = st.recursive(_SIMPLE, _compound, max_leaves=6)
_BODIES = st.builds(_block, st.lists(_STATEMENTS, min_size=1, max_size=5))
_PARAMETERS = st.sampled_from(
    ["db: AsyncSession", "db: Session", "db", "db=None", "db: AsyncSession = Depends(get_db)", "db: AsyncSession, x",
     "*sessions: AsyncSession", "**more", "db: AsyncSession, session: AsyncSession", "x, /, *, db: AsyncSession | None",
     "background: BackgroundTasks, db: X = Depends(provide)", "repo: Repo", "uow: Unit", "db=Depends(f)", ""]
)  # fmt: skip
_FUNCTION_DECORATORS = st.sampled_from(
    [
        "",
        "",
        "",
        "@asynccontextmanager\n",
        "@contextmanager\n",
        "@router.post('/')\n",
        "@f\n",
        "@router.on_event('x')\n",
    ]
)
_METHOD_DECORATORS = st.sampled_from(
    ["", "", "", "@property\n", "@staticmethod\n", "@classmethod\n", "@asynccontextmanager\n"]
)
_METHODS = st.sampled_from(
    ["f", "g", "__init__", "__aenter__", "__aexit__", "__enter__", "__exit__", "__call__", "commit", "add", "x"]
)

_DEFINITIONS = st.builds(
    "{}{}def {}({}):\n{}".format,
    _FUNCTION_DECORATORS,
    st.sampled_from(["async ", "async ", ""]),
    _WORDS,
    _PARAMETERS,
    _BODIES,
)
_INIT = st.sampled_from(
    ["", "    def __init__(self, db: AsyncSession, x=None):\n        self._db = db\n        self.x = x\n",
     "    def __init__(self, uow: 'Unit'):\n        self.uow = uow\n        self._db = uow.session\n",
     "    _db: AsyncSession\n    x: 'Service'\n", "    def __init__(self):\n        self.session = maker()\n"]
)  # fmt: skip


def _class(name: str, bases: str, init: str, methods: list[tuple[str, str, str, str, str]]) -> str:
    lines = [f"class {name}({bases}):\n", init, "    a = maker\n"]
    for decorator, way, method, parameters, body in methods:
        lines.append(_block([f"{decorator}{way}def {method}(self{parameters}):\n{body}"]))
    return "".join(lines)


_CLASS_DEFINITIONS = st.builds(
    _class,
    st.sampled_from(_CLASSES),
    st.sampled_from(["", "Repo", "Base", "Service", "Unit", "X", "Protocol", "Generic[T]"]),
    _INIT,
    st.lists(
        st.tuples(
            _METHOD_DECORATORS,
            st.sampled_from(["async ", ""]),
            _METHODS,
            st.sampled_from(["", ", db: AsyncSession", ", *e", ", x=None"]),
            _BODIES,
        ),
        min_size=1,
        max_size=3,
    ),
)
_MODULE_LINES = st.sampled_from(
    ["X = AsyncSession\n", "X = Annotated[AsyncSession, Depends(get_db)]\n", "X = X\n", "db = maker()\n",
     "TABLE = {'f': f, 'g': g}\n", "service = Service(Repo(maker()))\n", "provide = get_db\n", "f = f\n",
     "maker = f()\n", "router.include_router(router)\n", "from app.a import *\n", "from app.b import *\n",
     "f(maker())\n", "asyncio.run(f())\n"]
)  # fmt: skip
_FILES = st.builds(
    lambda parts: PRELUDE + "".join(parts),
    st.lists(st.one_of(_DEFINITIONS, _DEFINITIONS, _CLASS_DEFINITIONS, _MODULE_LINES), min_size=1, max_size=5),
)
PROJECTS = st.one_of(
    st.builds(lambda a: {"app/a.py": a}, _FILES),
    st.builds(lambda a, b: {"app/__init__.py": "", "app/a.py": a, "app/b.py": b}, _FILES, _FILES),
)
