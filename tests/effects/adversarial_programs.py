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
    "a function that calls itself": "def f(db: Session):\n    db.add(Model())\n    f(db)\n    db.commit()\n",
    "two functions": "async def f(db):\n    db.add(Model())\n    await g(db)\n\n\nasync def g(db):\n    await f(db)\n"
    "    await db.commit()\n\n\nasync def top():\n    async with maker() as s:\n        await f(s)\n",
    "twelve functions, each calling all": "\n\n".join(
        f"async def f{n}(db: AsyncSession):\n    db.add(Model())\n"
        + "".join(f"    if db.x == {m}:\n        await f{m}(db)\n" for m in range(12))
        + ("    await db.commit()\n" if n % 3 == 0 else "")
        for n in range(12)
    ),
    "a ring of sixty": "\n\n".join(
        f"async def f{n}(db: AsyncSession):\n    db.add(Model())\n    await f{(n + 1) % 60}(db)\n" for n in range(60)
    ),
    "a recursion that changes its argument": "def f(db):\n    f(db.x)\n    f([db])\n    f({'a': db})\n    f(lambda: db)\n"
    "    f(f)\n    f(f(db))\n\n\nf(sync_maker())\n",
    "methods": "class A:\n    def __init__(self, db: AsyncSession, b: 'B'):\n        self.db = db\n        self.b = b\n\n"
    "    async def f(self):\n        self.db.add(Model())\n        await self.b.g()\n\n\n"
    "class B:\n    def __init__(self, a: A):\n        self.a = a\n\n    async def g(self):\n        await self.a.f()\n"
    "        await self.a.db.commit()\n",
    "a return of itself": "def f(a):\n    return f(a)\n\n\nasync def g():\n    async with f(maker)() as s:\n"
    "        s.add(f(Model()))\n",
    "two that return each other": "def f(a):\n    return g(a)\n\n\ndef g(a):\n    return f(a)\n\n\n"
    "def h(db=f(1)):\n    db.commit()\n    g(db).commit()\n",
    "a return that wraps itself": "def f(a):\n    return [f(a), {'x': f}, lambda: f(a)]\n\n\n"
    "def g():\n    for x in f(sync_maker()):\n        x[0]['x']().commit()\n",
    "a generator that yields itself": "def f():\n    yield f()\n    yield from f()\n\n\n"
    "def g():\n    for db in f():\n        db.commit()\n        for x in db:\n            x.add(Model())\n",
    "an async generator that iterates itself": "async def f():\n    async for db in f():\n        yield db\n"
    "        await db.commit()\n",
    "a provider that depends on itself": "async def p(db: AsyncSession = Depends(lambda: p)):\n    yield db\n\n\n"
    "async def q(db: AsyncSession = Depends(q)):\n    yield db\n    await db.commit()\n\n\n"
    "@router.get('/')\nasync def route(db=Depends(q), e=Depends(p)):\n    db.add(Model())\n",
    "two providers that depend on each other": "async def p(db=Depends('q')):\n    yield db\n\n\n"
    "async def q(db=Depends(p)):\n    yield db\n\n\np.__defaults__ = (Depends(q),)\n\n\n"
    "@router.get('/')\nasync def route(db: AsyncSession = Depends(q)):\n    db.add(Model())\n",
    "a provider that is its own context manager": "@asynccontextmanager\nasync def p():\n    async with p() as s:\n"
    "        yield s\n        await s.commit()\n\n\nasync def g():\n    async with p() as s:\n        s.add(Model())\n",
    "a decorator that decorates itself": "@d\ndef d(f):\n    @d\n    def inner(*a, **k):\n        return d(f)(*a, **k)\n"
    "    return inner\n\n\n@d\n@d\nasync def g(db: AsyncSession):\n    db.add(Model())\n    await g(db)\n",
    "a decorator that calls what it decorates": "def d(f):\n    f(f)\n    return d(f)\n\n\n"
    "@d\ndef g(db):\n    db.commit()\n\n\n@d(d)\ndef h(db: Session):\n    g(db)\n",
    "a task that starts itself": "async def f(db: AsyncSession):\n    asyncio.create_task(f(db))\n"
    "    await asyncio.gather(f(db), f(db), *[f(db) for _ in db])\n",
    "a stream that streams itself": "@router.get('/')\nasync def f(db: AsyncSession = Depends(get_db)):\n"
    "    async def body():\n        yield body()\n        async for x in body():\n            yield await f(db)\n"
    "        db.add(Model())\n    return StreamingResponse(body())\n",
    "a callable that calls itself": "class A:\n    def __call__(self, db: Session):\n        self(db)\n"
    "        self.__call__(db)\n        return self\n\n\na = A()\na(a)(a)(sync_maker())\n",
    "a lambda that calls itself": "f = lambda db: f(db) or f\n\n\ndef g():\n    with sync_maker() as s:\n        f(s)(s)(s)\n",
    "a closure that returns its parent": "def f(db: Session):\n    def g():\n        db.commit()\n        return f\n"
    "    return g\n\n\ndef h(db: Session):\n    f(db)()(db)()(db)()\n",
    "handlers that hand over": "async def f(db: AsyncSession):\n    try:\n        await g(db)\n    except ValueError:\n"
    "        await f(db)\n    finally:\n        await g(db)\n\n\nasync def g(db: AsyncSession):\n    try:\n"
    "        await f(db)\n    except Exception:\n        await db.rollback()\n        raise KeyError\n",
}

NAMES = {
    "an alias of itself": "X = X\nY: Y = Y\n\n\ndef f(db: X, e: Y) -> X:\n    db.commit()\n    e.commit()\n    X().commit()\n",
    "aliases in a ring": "A = B\nB = C\nC = A\n\n\ndef f(db: A):\n    db.commit()\n    with B() as s:\n        s.add(C())\n",
    "an annotation of itself": "A = 'A'\nB = 'Optional[B]'\n\n\nasync def f(db: A, e: B, g: 'f') -> 'f':\n"
    "    await db.commit()\n    await e.commit()\n",
    "an attribute of itself": "class A:\n    x = x\n    def __init__(self):\n        self.x = self.x\n"
    "        self.y = self.z\n        self.z = self.y\n        self.d = self.d.d.d\n\n    def f(self):\n"
    "        self.x.commit()\n        self.y.commit()\n        self.d.add(Model())\n",
    "a property that is itself": "class A:\n    @property\n    def x(self):\n        return self.x\n\n    @property\n"
    "    def me(self):\n        return self\n\n    @property\n    def y(self) -> 'A':\n        return self.me.y.me\n\n"
    "    def f(self):\n        self.x.commit()\n        self.me.me.me.y.x.add(Model())\n",
    "a class that inherits from itself": "class A(A):\n    def f(self, db: Session):\n        super().f(db)\n        db.commit()\n",
    "classes that inherit in a ring": "class A(B):\n    def f(self):\n        self.g()\n        self.db.commit()\n\n\n"
    "class B(C):\n    def g(self):\n        super().f()\n\n\nclass C(A):\n    def __init__(self, db: Session):\n"
    "        self.db = db\n\n\ndef h(a: A, c: C):\n    a.f()\n    c.g()\n    isinstance(a, C)\n",
    "a class made of itself": "class A:\n    a: 'A'\n    class A:\n        a: 'A'\n        def f(self):\n"
    "            self.a.a.A.a.commit()\n\n\nA.A = A\nA = A.A.A\n",
    "diamonds": "".join(
        f"class L{n}({base}):\n    pass\n\n\nclass R{n}({base}):\n    pass\n\n\nclass D{n}(L{n}, R{n}):\n"
        "    def f(self):\n        super().f()\n        self.db.commit()\n\n\n"
        for n, base in enumerate(["Base", *(f"D{m}" for m in range(11))])
    ),
    "a factory that makes itself": "maker = maker\nfactory = factory()\nmaker2 = async_sessionmaker(maker2)\n\n\n"
    "async def f():\n    async with maker2() as s, factory() as t:\n        s.add(Model())\n        t.add(Model())\n",
    "globals that swap": "x = y\ny = x\n\n\ndef f():\n    global x, y\n    x, y = y, x\n    x = sync_maker()\n    y = x\n"
    "    y.add(Model())\n    x.commit()\n",
    "one name, many things": "".join(
        f"x = {value}\n"
        for value in ("maker()", "lambda: x", "x()", "[x]", "{'a': x}", "x['a']", "x.x", "(x, x)", "x[0]", "Model")
    )
    + "\n\ndef f():\n    x.commit()\n    x().commit()\n    x.x().commit()\n",
    "local names in a ring": "def f(db: Session):\n    a = b = c = db\n    for _ in db:\n        a, b, c = b, c, a\n"
    "        a = (a, b)[0]\n        b = [c] or a\n        c = {1: a}[1] if b else c\n    a.commit()\n",
    "a default of itself": "def f(db=f, g=lambda g=g: g):\n    db.commit()\n    g().commit()\n    f(f)\n",
    "a walrus of itself": "def f(db: Session):\n    while (db := db):\n        (db := db.x).commit()\n        [db := x for x in [db]]\n",
    "a function that rebinds itself": "def f(db: Session):\n    global f\n    f = f\n    f = lambda db: f(db)\n    f(db)\n    db.commit()\n",
    "an entity of itself": "class A(Base):\n    __tablename__ = __tablename__\n    a = mapped_column(ForeignKey(a))\n"
    "    b = mapped_column(ForeignKey('a.b'))\n    c = relationship('A', back_populates='c')\n\n\n"
    "async def f(db: AsyncSession):\n    db.add(A(a=A(a=A())))\n    await db.commit()\n    db.add(A())\n",
    "parents in a ring": "class A(Base):\n    __tablename__ = 'a'\n    b = mapped_column(ForeignKey('b.id'))\n\n\n"
    "class B(Base):\n    __tablename__ = 'b'\n    a = mapped_column(ForeignKey('a.id'))\n\n\n"
    "async def f(db: AsyncSession):\n    db.add(A())\n    db.add(B())\n    await g(db)\n\n\n"
    "async def g(db):\n    async with maker() as s:\n        s.add(B())\n        await s.commit()\n",
    "a name for everything": "f = f.f(f)[f](*f, **f)\n\n\nclass f(f, metaclass=f):\n    f: f = f\n\n    @f\n    def f(f, *, f2=f) -> f:\n"
    "        with f as f, f() as f.f, f[f] as f[f]:\n            for f in f:\n                f.commit()\n                f = yield f\n"
    "        del f, f.f, f[f]\n        match f:\n            case f():\n                return f\n",
    "a unit of work in itself": "class Unit:\n    async def __aenter__(self):\n        self.session = maker()\n"
    "        async with self as u:\n            await u.__aenter__()\n        return self\n\n"
    "    async def __aexit__(self, *e):\n        async with self:\n            await self.session.commit()\n\n\n"
    "async def f():\n    async with Unit() as u:\n        u.session.add(Model())\n        async with u as u:\n            pass\n",
    "sessions in containers": "def f(a, b, c):\n    a.append(sync_maker())\n    a[0].commit()\n    b['x'] = sync_maker()\n"
    "    b.get('x').add(Model())\n    b.setdefault('y', b).pop('y').commit()\n    c.update(a=c, **b)\n"
    "    for k, x in c.items():\n        x.add(k)\n    [*a, *b][0].commit()\n    dict(a)['x'].commit()\n"
    "    sorted(a, key=lambda x: x.commit())[-1].flush()\n    (a or b or c)[a][b][c].commit()\n    a += [a]\n"
    "    a[:].extend(a)\n    list(map(f, a))[0].commit()\n    next(iter(a)).commit()\n    x, *y = a\n    y[0].commit()\n",
    "methods on unknowns": "def f(a):\n    with a.b(c).d[e] as s, s.t() as (x, (y, *z)):\n        x.add(y)\n        z[0].commit()\n"
    "    a.b.c.d().e.f().commit()\n    getattr(a, 'commit')()\n    a['db'].session.begin().__enter__().commit()\n"
    "    (lambda s: s.commit())(a)\n    (yield a).commit()\n    (a if a else a).commit()\n    f'{a.commit()}'.commit()\n",
    "stars": "async def f(*sessions: AsyncSession, **more: AsyncSession):\n    for s in sessions:\n        s.add(Model())\n"
    "    await f(*sessions, **more)\n    await f(*[maker(), *sessions], **{**more, 'a': maker()})\n"
    "    await more['a'].commit()\n    a, *b = sessions\n    await b[0].commit()\n    return f(*f(*f(**f(*a))))\n",
    "odd parameters": "def f(self, /, a, *, db, **k):\n    db.commit()\n\n\nf(db=f, db2=1)\nf()\nf(1, 2, 3, 4, *5, **6)\n\n\n"
    "class A:\n    def f():\n        pass\n\n    @staticmethod\n    def g():\n        A.f(1, 2).commit()\n\n"
    "    @classmethod\n    def h(cls, db: Session):\n        cls.f(db).g(cls)\n        A().f(1)\n        A.h(db)\n",
    "types that are values": "def f(db: 1, e: None, g: [AsyncSession], h: lambda: 1, i: 'not a type (', j: '') -> (yield):\n"
    "    db.commit()\n    e.commit()\n    g.commit()\n    i.commit()\n    j.commit()\n",
    "deep generics": "def f(db: " + "Optional[" * 150 + "AsyncSession" + "]" * 150 + "):\n    db.commit()\n",
    "generics as text": "def f(db: '" + "list[" * 60 + "AsyncSession" + "]" * 60 + "'):\n    db.commit()\n",
    "many unions": "def f(db: " + " | ".join(f"A{n}" for n in range(300)) + " | AsyncSession):\n    db.commit()\n",
}

SIZES = {
    "300 nested ifs": _nested("if a[{0}]:", 98, "db.add(Model())"),  # 100 levels are CPython's own limit
    "nested ifs that all write": "async def f(db: AsyncSession, a):\n"
    + "".join(f"{'    ' + ' ' * n}if a[{n}]:\n{'     ' + ' ' * n}db.add(Model())\n" for n in range(90)),
    "300 ifs in a row": "async def f(db: AsyncSession, a):\n"
    + _lines(300, "if a[{0}]: db.add(Model())")
    + "    await db.commit()\n",
    "300 ifs in a row on names": "async def f(db: AsyncSession, a):\n"
    + "".join(
        f"    if a.x{n}:\n        db.add(Model())\n        b{n} = None\n    else:\n        b{n} = db\n"
        for n in range(300)
    )
    + "".join(f"    if b{n}:\n        await b{n}.commit()\n" for n in range(300)),
    "1000 elifs": "async def f(db: AsyncSession, a):\n    if a: db.add(Model())\n"
    + "".join(f"    elif a == {n}: await db.commit()\n" for n in range(1000)),
    "1000 elifs that nest else": "async def f(db: AsyncSession, a):\n    if a:\n        db.add(Model())\n"
    + "".join(f"    elif await g(db, {n}):\n        return db.add(Model())\n" for n in range(1000))
    + "\n\nasync def g(db: AsyncSession, n):\n    return n or await db.commit()\n",
    "2000 statements": "async def f(db: AsyncSession):\n"
    + _lines(2000, "db.add(Model(id={0}))")
    + "    await db.commit()\n",
    "2000 assignments": "async def f(db: AsyncSession):\n    x0 = db\n"
    + "".join(f"    x{n + 1} = x{n}\n" for n in range(2000))
    + "    x2000.add(Model())\n",
    "2000 calls of one function": "async def f(db: AsyncSession):\n"
    + _lines(2000, "await g(db, {0})")
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
    "400 calls in a row": "def f(db: Session):\n    return db" + ".f(db)" * 400 + ".commit()\n",
    "300 calls of what was returned": "def f(db: Session):\n    return f" + "(db)" * 300 + ".commit()\n",
    "a sum of 900 terms": "def f(db: Session):\n    return " + " + ".join(["db.commit()"] * 900) + "\n",
    "an or of 900 terms": "def f(db: Session):\n    return " + " or ".join(["db.commit()"] * 900) + "\n",
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
}

FILES = {
    "import cycle with stars": {
        "a.py": "from b import *\nfrom c import *\nx = y\n",
        "b.py": "from c import *\nfrom a import *\ny = z\n",
        "c.py": "from a import *\nfrom b import *\nz = x\n\n\ndef f(db: x):\n    db.commit()\n    y().commit()\n    w().commit()\n",
    },
    "import cycle of one name": {
        "a.py": "from b import maker\n",
        "b.py": "from c import maker\n",
        "c.py": "from a import maker\n\n\nasync def f():\n    async with maker() as s:\n        s.add(1)\n",
    },
    "a module that imports itself": {
        "a.py": "import a\nfrom a import *\nfrom a import a, b as c\nfrom . import a as d\n\n\ndef f():\n"
        "    a.a.a.b.commit()\n    c().commit()\n    d.d.f()\n",
    },
    "packages that are their parents": {
        "p/__init__.py": "from . import p\nfrom .p import *\nfrom .. import p as q\nfrom ........ import r\n",
        "p/p/__init__.py": "from .. import *\nfrom .. import p\nfrom ..p import p as s\n\n\ndef f(db: p.p.p.X):\n    db.commit()\n",
    },
    "one name as module and package": {
        "m.py": "maker = 1\n",
        "m/__init__.py": "from m import maker\n",
        "n.py": "from m import maker\nimport m.x.y\n\n\ndef f():\n    with maker() as s:\n        s.add(1)\n    m.x.y.z()\n",
    },
    "classes that inherit across files": {
        "a.py": "from b import B\n\n\nclass A(B):\n    def f(self):\n        self.db.commit()\n",
        "b.py": "from a import A\n\n\nclass B(A):\n    def __init__(self, db: AsyncSession):\n        self.db = db\n",
    },
    "factories that import each other": {
        "a.py": "import b\nfactory = b.factory\nclass A:\n    factory = b.B.factory\n",
        "b.py": "import a\nfactory = a.factory\nclass B:\n    factory = a.A.factory\n\n\nasync def f():\n"
        "    async with factory() as s, B.factory() as t:\n        s.add(t)\n",
    },
    "a broken file in the middle": {
        "a.py": "from b import get\n\n\nasync def f():\n    async with get() as s:\n        s.add(Model())\n",
        "b.py": "def get(:\n",
    },
    "empty files": {"a.py": "", "b/__init__.py": "", "c.py": "\n\n", "d.py": "# why"},
    "names that are no modules": {
        "a-b.py": "x = 1\n",
        "1.py": "from a-b import x\n",
        "ж.py": "from ж import *\n\n\ndef ж(ж: Session):\n    ж.commit()\n    'ж'; ж.add(ж)\n",
    },
    "150 files in a ring": {
        f"m{n}.py": f"from m{(n + 1) % 150} import *\nfrom m{(n + 7) % 150} import f{n}, g\n\n\n"
        f"async def f{n}(db):\n    db.add({n})\n    await g(db)\n"
        for n in range(150)
    },
}
