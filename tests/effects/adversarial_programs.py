"""Programs that nobody writes and every analyser must survive: name -> files; ``PRELUDE`` stands before each."""

from __future__ import annotations

PRELUDE = """\
import asyncio
from contextlib import asynccontextmanager, contextmanager
from fastapi import APIRouter, BackgroundTasks, Depends
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from starlette.responses import StreamingResponse

maker = async_sessionmaker(create_async_engine("sqlite+aiosqlite://"))
sync_maker = sessionmaker()
router = APIRouter()


class Base(DeclarativeBase):
    pass


class Model(Base):
    __tablename__ = "model"
    id: Mapped[int] = mapped_column(primary_key=True)


async def get_db():
    async with maker() as session:
        yield session


"""


def _nested(head: str, depth: int, innermost: str, indent: str = "    ") -> str:
    """``head`` inside itself, ``depth`` times, in a function of a session."""
    lines = ["async def f(db: AsyncSession, a):"]
    lines += [indent + " " * level + head.format(level) for level in range(depth)]
    return "\n".join([*lines, indent + " " * depth + innermost]) + "\n"


def _lines(count: int, line: str) -> str:
    return "".join(f"    {line.format(number)}\n" for number in range(count))


RECURSION = {
    "a function that calls itself": """\
def f(db: Session):
    db.add(Model())
    f(db)
    db.commit()
""",
    "two functions": """\
async def f(db):
    db.add(Model())
    await g(db)


async def g(db):
    await f(db)
    await db.commit()


async def top():
    async with maker() as s:
        await f(s)
""",
    "a recursion that changes its argument": """\
def f(db):
    f(db.x)
    f([db])
    f({'a': db})
    f(lambda: db)
    f(f)
    f(f(db))


f(sync_maker())
""",
    "methods": """\
class A:
    def __init__(self, db: AsyncSession, b: 'B'):
        self.db = db
        self.b = b

    async def f(self):
        self.db.add(Model())
        await self.b.g()


class B:
    def __init__(self, a: A):
        self.a = a

    async def g(self):
        await self.a.f()
        await self.a.db.commit()
""",
    "a return of itself": """\
def f(a):
    return f(a)


async def g():
    async with f(maker)() as s:
        s.add(f(Model()))
""",
    "two that return each other": """\
def f(a):
    return g(a)


def g(a):
    return f(a)


def h(db=f(1)):
    db.commit()
    g(db).commit()
""",
    "a return that wraps itself": """\
def f(a):
    return [f(a), {'x': f}, lambda: f(a)]


def g():
    for x in f(sync_maker()):
        x[0]['x']().commit()
""",
    "a generator that yields itself": """\
def f():
    yield f()
    yield from f()


def g():
    for db in f():
        db.commit()
        for x in db:
            x.add(Model())
""",
    "an async generator that iterates itself": """\
async def f():
    async for db in f():
        yield db
        await db.commit()
""",
    "a provider that depends on itself": """\
async def p(db: AsyncSession = Depends(lambda: p)):
    yield db


async def q(db: AsyncSession = Depends(q)):
    yield db
    await db.commit()


@router.get('/')
async def route(db=Depends(q), e=Depends(p)):
    db.add(Model())
""",
    "two providers that depend on each other": """\
async def p(db=Depends('q')):
    yield db


async def q(db=Depends(p)):
    yield db


p.__defaults__ = (Depends(q),)


@router.get('/')
async def route(db: AsyncSession = Depends(q)):
    db.add(Model())
""",
    "a provider that is its own context manager": """\
@asynccontextmanager
async def p():
    async with p() as s:
        yield s
        await s.commit()


async def g():
    async with p() as s:
        s.add(Model())
""",
    "a decorator that decorates itself": """\
@d
def d(f):
    @d
    def inner(*a, **k):
        return d(f)(*a, **k)
    return inner


@d
@d
async def g(db: AsyncSession):
    db.add(Model())
    await g(db)
""",
    "a decorator that calls what it decorates": """\
def d(f):
    f(f)
    return d(f)


@d
def g(db):
    db.commit()


@d(d)
def h(db: Session):
    g(db)
""",
    "a task that starts itself": """\
async def f(db: AsyncSession):
    asyncio.create_task(f(db))
    await asyncio.gather(f(db), f(db), *[f(db) for _ in db])
""",
    "a stream that streams itself": """\
@router.get('/')
async def f(db: AsyncSession = Depends(get_db)):
    async def body():
        yield body()
        async for x in body():
            yield await f(db)
        db.add(Model())
    return StreamingResponse(body())
""",
    "a callable that calls itself": """\
class A:
    def __call__(self, db: Session):
        self(db)
        self.__call__(db)
        return self


a = A()
a(a)(a)(sync_maker())
""",
    "a lambda that calls itself": """\
f = lambda db: f(db) or f


def g():
    with sync_maker() as s:
        f(s)(s)(s)
""",
    "a closure that returns its parent": """\
def f(db: Session):
    def g():
        db.commit()
        return f
    return g


def h(db: Session):
    f(db)()(db)()(db)()
""",
    "handlers that hand over": """\
async def f(db: AsyncSession):
    try:
        await g(db)
    except ValueError:
        await f(db)
    finally:
        await g(db)


async def g(db: AsyncSession):
    try:
        await f(db)
    except Exception:
        await db.rollback()
        raise KeyError
""",
}

NAMES = {
    "an alias of itself": """\
X = X
Y: Y = Y


def f(db: X, e: Y) -> X:
    db.commit()
    e.commit()
    X().commit()
""",
    "aliases in a ring": """\
A = B
B = C
C = A


def f(db: A):
    db.commit()
    with B() as s:
        s.add(C())
""",
    "an annotation of itself": """\
A = 'A'
B = 'Optional[B]'


async def f(db: A, e: B, g: 'f') -> 'f':
    await db.commit()
    await e.commit()
""",
    "an attribute of itself": """\
class A:
    x = x
    def __init__(self):
        self.x = self.x
        self.y = self.z
        self.z = self.y
        self.d = self.d.d.d

    def f(self):
        self.x.commit()
        self.y.commit()
        self.d.add(Model())
""",
    "a property that is itself": """\
class A:
    @property
    def x(self):
        return self.x

    @property
    def me(self):
        return self

    @property
    def y(self) -> 'A':
        return self.me.y.me

    def f(self):
        self.x.commit()
        self.me.me.me.y.x.add(Model())
""",
    "a class that inherits from itself": """\
class A(A):
    def f(self, db: Session):
        super().f(db)
        db.commit()
""",
    "classes that inherit in a ring": """\
class A(B):
    def f(self):
        self.g()
        self.db.commit()


class B(C):
    def g(self):
        super().f()


class C(A):
    def __init__(self, db: Session):
        self.db = db


def h(a: A, c: C):
    a.f()
    c.g()
    isinstance(a, C)
""",
    "a class made of itself": """\
class A:
    a: 'A'
    class A:
        a: 'A'
        def f(self):
            self.a.a.A.a.commit()


A.A = A
A = A.A.A
""",
    "a factory that makes itself": """\
maker = maker
factory = factory()
maker2 = async_sessionmaker(maker2)


async def f():
    async with maker2() as s, factory() as t:
        s.add(Model())
        t.add(Model())
""",
    "globals that swap": """\
x = y
y = x


def f():
    global x, y
    x, y = y, x
    x = sync_maker()
    y = x
    y.add(Model())
    x.commit()
""",
    "local names in a ring": """\
def f(db: Session):
    a = b = c = db
    for _ in db:
        a, b, c = b, c, a
        a = (a, b)[0]
        b = [c] or a
        c = {1: a}[1] if b else c
    a.commit()
""",
    "a default of itself": """\
def f(db=f, g=lambda g=g: g):
    db.commit()
    g().commit()
    f(f)
""",
    "a walrus of itself": """\
def f(db: Session):
    while (db := db):
        (db := db.x).commit()
        [db := x for x in [db]]
""",
    "a function that rebinds itself": """\
def f(db: Session):
    global f
    f = f
    f = lambda db: f(db)
    f(db)
    db.commit()
""",
    "an entity of itself": """\
class A(Base):
    __tablename__ = __tablename__
    a = mapped_column(ForeignKey(a))
    b = mapped_column(ForeignKey('a.b'))
    c = relationship('A', back_populates='c')


async def f(db: AsyncSession):
    db.add(A(a=A(a=A())))
    await db.commit()
    db.add(A())
""",
    "parents in a ring": """\
class A(Base):
    __tablename__ = 'a'
    b = mapped_column(ForeignKey('b.id'))


class B(Base):
    __tablename__ = 'b'
    a = mapped_column(ForeignKey('a.id'))


async def f(db: AsyncSession):
    db.add(A())
    db.add(B())
    await g(db)


async def g(db):
    async with maker() as s:
        s.add(B())
        await s.commit()
""",
    "a name for everything": """\
f = f.f(f)[f](*f, **f)


class f(f, metaclass=f):
    f: f = f

    @f
    def f(f, *, f2=f) -> f:
        with f as f, f() as f.f, f[f] as f[f]:
            for f in f:
                f.commit()
                f = yield f
        del f, f.f, f[f]
        match f:
            case f():
                return f
""",
    "a unit of work in itself": """\
class Unit:
    async def __aenter__(self):
        self.session = maker()
        async with self as u:
            await u.__aenter__()
        return self

    async def __aexit__(self, *e):
        async with self:
            await self.session.commit()


async def f():
    async with Unit() as u:
        u.session.add(Model())
        async with u as u:
            pass
""",
    "sessions in containers": """\
def f(a, b, c):
    a.append(sync_maker())
    a[0].commit()
    b['x'] = sync_maker()
    b.get('x').add(Model())
    b.setdefault('y', b).pop('y').commit()
    c.update(a=c, **b)
    for k, x in c.items():
        x.add(k)
    [*a, *b][0].commit()
    dict(a)['x'].commit()
    sorted(a, key=lambda x: x.commit())[-1].flush()
    (a or b or c)[a][b][c].commit()
    a += [a]
    a[:].extend(a)
    list(map(f, a))[0].commit()
    next(iter(a)).commit()
    x, *y = a
    y[0].commit()
""",
    "methods on unknowns": """\
def f(a):
    with a.b(c).d[e] as s, s.t() as (x, (y, *z)):
        x.add(y)
        z[0].commit()
    a.b.c.d().e.f().commit()
    getattr(a, 'commit')()
    a['db'].session.begin().__enter__().commit()
    (lambda s: s.commit())(a)
    (yield a).commit()
    (a if a else a).commit()
    f'{a.commit()}'.commit()
""",
    "stars": """\
async def f(*sessions: AsyncSession, **more: AsyncSession):
    for s in sessions:
        s.add(Model())
    await f(*sessions, **more)
    await f(*[maker(), *sessions], **{**more, 'a': maker()})
    await more['a'].commit()
    a, *b = sessions
    await b[0].commit()
    return f(*f(*f(**f(*a))))
""",
    "odd parameters": """\
def f(self, /, a, *, db, **k):
    db.commit()


f(db=f, db2=1)
f()
f(1, 2, 3, 4, *5, **6)


class A:
    def f():
        pass

    @staticmethod
    def g():
        A.f(1, 2).commit()

    @classmethod
    def h(cls, db: Session):
        cls.f(db).g(cls)
        A().f(1)
        A.h(db)
""",
    "types that are values": """\
def f(db: 1, e: None, g: [AsyncSession], h: lambda: 1, i: 'not a type (', j: '') -> [1][0]:
    db.commit()
    e.commit()
    g.commit()
    i.commit()
    j.commit()
""",
}

FILES = {
    "import cycle with stars": {
        "a.py": """\
from b import *
from c import *
x = y
""",
        "b.py": """\
from c import *
from a import *
y = z
""",
        "c.py": """\
from a import *
from b import *
z = x


def f(db: x):
    db.commit()
    y().commit()
    w().commit()
""",
    },
    "import cycle of one name": {
        "a.py": "from b import maker\n",
        "b.py": "from c import maker\n",
        "c.py": """\
from a import maker


async def f():
    async with maker() as s:
        s.add(1)
""",
    },
    "a module that imports itself": {
        "a.py": """\
import a
from a import *
from a import a, b as c
from . import a as d


def f():
    a.a.a.b.commit()
    c().commit()
    d.d.f()
""",
    },
    "packages that are their parents": {
        "p/__init__.py": """\
from . import p
from .p import *
from .. import p as q
from ........ import r
""",
        "p/p/__init__.py": """\
from .. import *
from .. import p
from ..p import p as s


def f(db: p.p.p.X):
    db.commit()
""",
    },
    "one name as module and package": {
        "m.py": "maker = 1\n",
        "m/__init__.py": "from m import maker\n",
        "n.py": """\
from m import maker
import m.x.y


def f():
    with maker() as s:
        s.add(1)
    m.x.y.z()
""",
    },
    "classes that inherit across files": {
        "a.py": """\
from b import B


class A(B):
    def f(self):
        self.db.commit()
""",
        "b.py": """\
from a import A


class B(A):
    def __init__(self, db: AsyncSession):
        self.db = db
""",
    },
    "factories that import each other": {
        "a.py": """\
import b
factory = b.factory
class A:
    factory = b.B.factory
""",
        "b.py": """\
import a
factory = a.factory
class B:
    factory = a.A.factory


async def f():
    async with factory() as s, B.factory() as t:
        s.add(t)
""",
    },
    "a broken file in the middle": {
        "a.py": """\
from b import get


async def f():
    async with get() as s:
        s.add(Model())
""",
        "b.py": "def get(:\n",
    },
    "empty files": {
        "a.py": "",
        "b/__init__.py": "",
        "c.py": "\n\n",
        "d.py": "# why",
    },
    "names that are no modules": {
        "a-b.py": "x = 1\n",
        "1.py": "from a-b import x\n",
        "ж.py": """\
from ж import *


def ж(ж: Session):
    ж.commit()
    'ж'; ж.add(ж)
""",
    },
}

SIZES = {
    "98 nested ifs": _nested("if a[{0}]:", 98, "db.add(Model())"),  # CPython reads no more than 100 levels
    "nested ifs that all write": "async def f(db: AsyncSession, a):\n"
    + "".join(f"{'    ' + ' ' * n}if a[{n}]:\n{'     ' + ' ' * n}db.add(Model())\n" for n in range(90)),
    "300 ifs in a row": "async def f(db: AsyncSession, a):\n"
    + _lines(300, "if a[{0}]: db.add(Model())")
    + "    await db.commit()\n",
    "150 ifs in a row on names": "async def f(db: AsyncSession, a):\n"
    + "".join(
        f"    if a.x{n}:\n        db.add(Model())\n        b{n} = None\n    else:\n        b{n} = db\n"
        for n in range(150)
    )
    + "".join(f"    if b{n}:\n        await b{n}.commit()\n" for n in range(150)),
    "1000 elifs": "async def f(db: AsyncSession, a):\n    if a: db.add(Model())\n"
    + "".join(f"    elif a == {n}: await db.commit()\n" for n in range(1000)),
    "400 elifs that nest else": "async def f(db: AsyncSession, a):\n    if a:\n        db.add(Model())\n"
    + "".join(f"    elif await g(db, {n}):\n        return db.add(Model())\n" for n in range(400))
    + "\n\nasync def g(db: AsyncSession, n):\n    return n or await db.commit()\n",
    "2000 statements": "async def f(db: AsyncSession):\n"
    + _lines(2000, "db.add(Model(id={0}))")
    + "    await db.commit()\n",
    "2000 assignments": "async def f(db: AsyncSession):\n    x0 = db\n"
    + "".join(f"    x{n + 1} = x{n}\n" for n in range(2000))
    + "    x2000.add(Model())\n",
    "1000 calls of one function": "async def f(db: AsyncSession):\n"
    + _lines(1000, "await g(db, {0})")
    + "\n\nasync def g(db: AsyncSession, n):\n    db.add(Model())\n    if n:\n        await db.commit()\n",
    "1000 functions in a chain": "\n\n".join(
        f"async def f{n}(db: AsyncSession):\n    db.add(Model())\n    await f{n + 1}(db)\n" for n in range(1000)
    ),
    "1000 functions that return the next": "\n\n".join(f"def f{n}():\n    return f{n + 1}()\n" for n in range(1000))
    + "\n\ndef f1000():\n    return sync_maker()\n\n\ndef g():\n    f0().add(Model())\n",
    "a doubling chain": "\n\n".join(
        f"async def f{n}(db: AsyncSession):\n    await f{n + 1}(db)\n    await f{n + 1}(db)\n" for n in range(40)
    )
    + "\n\nasync def f40(db):\n    db.add(Model())\n",
    "a doubling chain of values": "\n\n".join(
        f"def f{n}():\n    return f{n + 1}() or [f{n + 1}()]\n" for n in range(40)
    )
    + "\n\ndef f40():\n    return sync_maker()\n\n\ndef g():\n    f0().add(Model())\n",
    "doubling assignments": "def f(db: Session):\n    x = db\n" + _lines(60, "x = (x, x)") + "    x[0][0].commit()\n",
    "doubling choices": "def f(db: Session, a):\n    x = db\n"
    + _lines(60, "x = x.a if a else (x or [x])")
    + "    x.commit()\n",
    "200 calls in each other": "async def f(db: AsyncSession):\n    " + "f(" * 90 + "db" + ")" * 90 + "\n",
    "200 calls in a row": "def f(db: Session):\n    return db" + ".f(db)" * 200 + ".commit()\n",
    "150 calls of what was returned": "def f(db: Session):\n    return f" + "(db)" * 150 + ".commit()\n",
    "a sum of 400 terms": "def f(db: Session):\n    return " + " + ".join(["db.commit()"] * 400) + "\n",
    "an or of 400 terms": "def f(db: Session):\n    return " + " or ".join(["db.commit()"] * 400) + "\n",
    "conditions in each other": "def f(db: Session, a):\n    return "
    + "db.add(a) if db.flush() else " * 300
    + "db.commit()\n",
    "nots in each other": "def f(db: Session):\n    if " + "not " * 150 + "db.commit():\n        db.add(Model())\n",
    "ands and ors": "def f(db: Session, a):\n    if "
    + " or ".join(f"(a[{n}] and not a[{n + 1}] and db.x{n})" for n in range(100))
    + ":\n        db.add(Model())\n",
    "lambdas in each other": "def f(db: Session):\n    return (" + "lambda: " * 90 + "db.commit())" + "()" * 90 + "\n",
    "with chains of 20": "async def f():\n    async with "
    + ", ".join(f"maker() as s{n}" for n in range(20))
    + ":\n"
    + "".join(f"        s{n}.add(Model())\n" for n in range(20)),
    "nested withs": "async def f():\n"
    + "".join(f"{'    ' + ' ' * n}async with maker() as s{n}:\n" for n in range(19))
    + f"{'    ' + ' ' * 19}s0.add(Model())\n",
    "nested loops": "async def f(db: AsyncSession, a):\n"
    + "".join(f"{'    ' + ' ' * n}for x{n} in a:\n{'     ' + ' ' * n}db.add(x{n})\n" for n in range(19))
    + f"{'    ' + ' ' * 19}await db.commit()\n",
    "nested whiles that break": "async def f(db: AsyncSession, a):\n"
    + "".join(
        f"{'    ' + ' ' * n}while a[{n}]:\n{'     ' + ' ' * n}db.add(a)\n{'     ' + ' ' * n}if a.x: break\n"
        f"{'     ' + ' ' * n}if a.y: continue\n"
        for n in range(15)
    ),
    "nested tries": "async def f(db: AsyncSession, a):\n"
    + "".join(f"{'    ' + ' ' * n}try:\n{'     ' + ' ' * n}db.add(a)\n" for n in range(18))
    + "".join(
        f"{'    ' + ' ' * n}except E{n}:\n{'     ' + ' ' * n}await db.rollback()\n"
        f"{'    ' + ' ' * n}finally:\n{'     ' + ' ' * n}await db.flush()\n"
        for n in reversed(range(18))
    ),
    "100 tries in a row": "async def f(db: AsyncSession):\n"
    + "".join(
        f"    try:\n        db.add(Model())\n        await g{n}(db)\n    except E{n}:\n        await db.rollback()\n"
        "    else:\n        await db.commit()\n    finally:\n        await db.close()\n"
        for n in range(100)
    ),
    "200 handlers": "async def f(db: AsyncSession):\n    try:\n        db.add(Model())\n        await db.commit()\n"
    + "".join(f"    except E{n}:\n        await db.rollback()\n        return {n}\n" for n in range(200)),
    "nested finallys that return": "async def f(db: AsyncSession):\n"
    + "".join(f"{'    ' + ' ' * n}try:\n" for n in range(18))
    + f"{'    ' + ' ' * 18}db.add(Model())\n"
    + "".join(f"{'    ' + ' ' * n}finally:\n{'     ' + ' ' * n}return await db.flush()\n" for n in reversed(range(18))),
    "nested functions": "def f(db: Session):\n"
    + "".join(f"{'    ' + ' ' * n}def g{n}():\n{'     ' + ' ' * n}db.add(Model())\n" for n in range(90))
    + f"{'    ' + ' ' * 90}db.commit()\n",
    "nested functions that call down": "def f(db: Session):\n"
    + "".join(f"{'    ' + ' ' * n}def g{n}():\n" for n in range(60))
    + f"{'    ' + ' ' * 60}db.commit()\n"
    + "".join(f"{'    ' + ' ' * n}g{n}()\n" for n in reversed(range(60))),
    "nested classes": "".join(f"{' ' * n}class A{n}:\n{' ' * n} db: Session\n" for n in range(90))
    + f"{' ' * 90}def f(self):\n{' ' * 90} self.db.commit()\n",
    "nested comprehensions": "def f(db: Session):\n    return "
    + "[" * 60
    + "db.commit()"
    + " for a in db]" * 60
    + "\n",
    "a comprehension of 200 loops": "def f(db: Session):\n    return [db.add(x)" + " for x in db if x" * 200 + "]\n",
    "a huge dictionary": "X = {"
    + ", ".join(f"'k{n}': {{'a': maker, 'b': [get_db, Model, {n}]}}" for n in range(3000))
    + "}\n\n\nasync def f():\n    async with X['k1']['a']() as s:\n        s.add(Model())\n",
    "a huge dictionary of functions": "".join(f"async def f{n}(db):\n    db.add(Model())\n\n\n" for n in range(300))
    + "X = {"
    + ", ".join(f"'k{n}': f{n}" for n in range(300))
    + "}\n\n\nasync def f(db: AsyncSession, a):\n    await X[a](db)\n    for g in X.values():\n        await g(db)\n",
    "a huge list": "X = ["
    + ", ".join("Model()" for _ in range(5000))
    + "]\n\n\ndef f(db: Session):\n    db.add_all(X)\n",
    "a match of 300 cases": "async def f(db: AsyncSession, a):\n    match a:\n"
    + "".join(f"        case {n}:\n            db.add(Model())\n" for n in range(300))
    + "        case _:\n            await db.commit()\n",
    "nested matches": "async def f(db: AsyncSession, a):\n"
    + "".join(f"{'    ' + '  ' * n}match a:\n{'     ' + '  ' * n}case {{'k': x{n}, **r}} if db.x:\n" for n in range(40))
    + f"{'    ' + '  ' * 40}db.add(Model())\n",
    "300 parameters": "async def f("
    + ", ".join(f"s{n}: AsyncSession" for n in range(300))
    + "):\n"
    + _lines(300, "s{0}.add(Model())"),
    "40 sessions": "async def f():\n"
    + _lines(40, "s{0} = maker()")
    + _lines(40, "if s{0}.x: s{0}.add(Model())")
    + _lines(40, "await s{0}.commit()"),
    "200 decorators": "".join(f"@d{n}\n" for n in range(200)) + "async def f(db: AsyncSession):\n    db.add(Model())\n",
    "300 subclasses": "class A:\n    def f(self, db: Session): ...\n\n\n"
    + "".join(f"class A{n}(A):\n    def f(self, db: Session):\n        db.add(Model())\n\n\n" for n in range(300))
    + "def g(a: A, db: Session):\n    a.f(db)\n",
    "a deep ladder of classes": "class A0:\n    def f(self, db: Session):\n        db.add(Model())\n\n\n"
    + "".join(f"class A{n + 1}(A{n}):\n    def f(self, db: Session):\n        super().f(db)\n\n\n" for n in range(200)),
    "500 callers": "def f(db):\n    db.add(Model())\n\n\n"
    + "".join(f"def g{n}(db: Session):\n    f(db)\n    db.commit()\n\n\n" for n in range(500)),
    "a long string": "def f(db: Session):\n    db.execute('" + "x" * 200_000 + "')\n    db.commit()\n",
    "a long name": f"def f({'x' * 50_000}: Session):\n    {'x' * 50_000}.commit()\n",
    "many attributes": "def f(db: Session):\n    db" + ".a" * 500 + ".commit()\n",
    "many subscripts": "def f(db: Session):\n    db" + "[0]" * 500 + ".commit()\n",
    "a ring of sixty": "\n\n".join(
        f"async def f{n}(db: AsyncSession):\n    db.add(Model())\n    await f{(n + 1) % 60}(db)\n" for n in range(60)
    ),
    "deep generics": "def f(db: " + "Optional[" * 150 + "AsyncSession" + "]" * 150 + "):\n    db.commit()\n",
    "diamonds": "".join(
        f"class L{n}({base}):\n    pass\n\n\nclass R{n}({base}):\n    pass\n\n\nclass D{n}(L{n}, R{n}):\n"
        "    def f(self):\n        super().f()\n        self.db.commit()\n\n\n"
        for n, base in enumerate(["Base", *(f"D{m}" for m in range(11))])
    ),
    "generics as text": "def f(db: '" + "list[" * 60 + "AsyncSession" + "]" * 60 + "'):\n    db.commit()\n",
    "many unions": "def f(db: " + " | ".join(f"A{n}" for n in range(300)) + " | AsyncSession):\n    db.commit()\n",
    "one name, many things": "".join(
        f"x = {value}\n"
        for value in ("maker()", "lambda: x", "x()", "[x]", "{'a': x}", "x['a']", "x.x", "(x, x)", "x[0]", "Model")
    )
    + "\n\ndef f():\n    x.commit()\n    x().commit()\n    x.x().commit()\n",
    "twelve functions, each calling all": "\n\n".join(
        f"async def f{n}(db: AsyncSession):\n    db.add(Model())\n"
        + "".join(f"    if db.x == {m}:\n        await f{m}(db)\n" for m in range(12))
        + ("    await db.commit()\n" if n % 3 == 0 else "")
        for n in range(12)
    ),
}

MANY_FILES = {
    "150 files in a ring": {
        f"m{n}.py": f"from m{(n + 1) % 150} import *\nfrom m{(n + 7) % 150} import f{n}, g\n\n\n"
        f"async def f{n}(db):\n    db.add({n})\n    await g(db)\n"
        for n in range(150)
    },
}
