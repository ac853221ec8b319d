"""`sessionlint diagnose` on real databases, healthy and ill, and on what is no database at all."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ..conftest import Ran

asyncpg = pytest.importorskip("asyncpg")
psycopg = pytest.importorskip("psycopg")
pytest.importorskip("aiosqlite")

Cli = Callable[..., Ran]
DRIVERS = ("postgresql+asyncpg", "postgresql+psycopg", "sqlite", "sqlite+aiosqlite")

MODELS = """
import enum
from datetime import datetime
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class State(enum.Enum):
    ACTIVE = "active"


class Chat(Base):
    __tablename__ = "chats"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    title: Mapped[str]
    state: Mapped[State]
    created_at: Mapped[datetime]
    note: Mapped[str | None]


class Message(Base):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(primary_key=True)
    chat_id: Mapped[str] = mapped_column(ForeignKey(Chat.id))
    text: Mapped[str]


class Vote(Base):
    __tablename__ = "votes"
    id: Mapped[int] = mapped_column(primary_key=True)
    chat_id: Mapped[str] = mapped_column(ForeignKey(Chat.id))
    message_id: Mapped[int] = mapped_column(ForeignKey(Message.id))


class Plain:
    pass
"""


@pytest.fixture
def url_of(fresh_database: Callable[[str], str]) -> Callable[[str], str]:
    """An empty database of its own for a driver."""

    def make(driver: str) -> str:
        backend = driver.partition("+")[0]
        url = fresh_database(backend)
        if backend == "sqlite":
            path = url.partition(":///")[2]
            sqlite3.connect(path).close()
            Path(path).touch()
            return f"{driver}:///{path}"
        return f"{driver}://{url.partition('://')[2]}"

    return make


def libpq(url: str) -> str:
    return "postgresql://" + url.partition("://")[2]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module with MODELS, importable from the current folder."""
    name = f"models_{uuid.uuid4().hex[:8]}"
    (tmp_path / f"{name}.py").write_text(MODELS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    yield name
    sys.path[:] = before
    sys.modules.pop(name, None)


def create_tables(url: str, models: str) -> None:
    from importlib import import_module

    from sqlalchemy import create_engine

    sys.path.insert(0, str(Path.cwd()))
    sync = url.replace("+asyncpg", "+psycopg").replace("+aiosqlite", "")
    engine = create_engine(sync)
    import_module(models).Base.metadata.create_all(engine)
    engine.dispose()


def lines(ran: Ran) -> list[str]:
    return ran.stdout.splitlines()


# ---- healthy -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", DRIVERS)
def test_round_trip_with_tables_of_its_own(driver: str, url_of: Callable[[str], str], cli: Cli) -> None:
    url = url_of(driver)
    ran = cli("diagnose", url, "--round-trip")
    assert ran.stderr == ""
    assert any("a second connection finds the parent" in line for line in lines(ran))
    assert any("a second connection finds the child" in line for line in lines(ran))
    assert any("tables of the round trip are dropped again" in line for line in lines(ran))
    assert tables(url) == set()


@pytest.mark.parametrize("driver", DRIVERS)
def test_without_being_asked_nothing_is_written(driver: str, url_of: Callable[[str], str], cli: Cli) -> None:
    url = url_of(driver)
    before = Path(url.partition(":///")[2]).read_bytes() if "sqlite" in driver else b""
    ran = cli("diagnose", url)
    assert any("round trip: not applicable, it writes" in line for line in lines(ran))
    assert tables(url) == set()
    if before or "sqlite" in driver:
        assert Path(url.partition(":///")[2]).read_bytes() == before


def test_reading_cannot_write_on_postgresql(url_of: Callable[[str], str]) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from sessionlint.runtime.diagnose.database import Database

    with Database(url_of("postgresql+asyncpg")) as database, pytest.raises(DBAPIError, match="read-only"):
        database.read(lambda connection: connection.execute(text("create table t (x int)")))


@pytest.mark.parametrize("driver", DRIVERS)
def test_round_trip_with_models(driver: str, url_of: Callable[[str], str], models: str, cli: Cli) -> None:
    url = url_of(driver)
    create_tables(url, models)
    ran = cli("diagnose", url, "--parent", f"{models}:Chat", "--child", f"{models}:Message")
    assert ran.stderr == ""
    assert any("the child in `messages` is committed" in line for line in lines(ran))
    assert any("2 rows of the round trip are removed again" in line for line in lines(ran))
    assert any("every row of `messages` has its parent" in line for line in lines(ran))
    assert count(url, "messages") == count(url, "chats") == 0


def test_limits_that_are_set_are_fine(url_of: Callable[[str], str], cli: Cli) -> None:
    url = url_of("postgresql+psycopg")
    name = urlsplit(url).path.strip("/")
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        for setting in ("idle_in_transaction_session_timeout", "statement_timeout", "lock_timeout"):
            connection.execute(f"ALTER DATABASE {name} SET {setting} = '7s'")
    ran = cli("diagnose", url)
    assert ran.code == 0, ran.stdout
    assert "idle_in_transaction_session_timeout is 7 s" in ran.stdout
    assert "statement_timeout is 7 s" in ran.stdout


def test_the_url_may_come_from_the_environment(
    url_of: Callable[[str], str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url_of("sqlite"))
    assert "connected to sqlite" in cli("diagnose").stdout


# ---- ill -----------------------------------------------------------------------------------------------------------


@contextmanager
def a_row_is_locked(url: str) -> Iterator[object]:
    with psycopg.connect(libpq(url), autocommit=True) as setup:
        setup.execute("CREATE TABLE locked (id int PRIMARY KEY)")
        setup.execute("INSERT INTO locked VALUES (1)")
    with psycopg.connect(libpq(url), application_name="holder") as holder:
        holder.execute("SELECT * FROM locked FOR UPDATE")
        yield holder


@pytest.mark.parametrize("driver", ["postgresql+asyncpg", "postgresql+psycopg"])
def test_idle_and_long_transactions_are_named(driver: str, url_of: Callable[[str], str], cli: Cli) -> None:
    url = url_of(driver)
    with a_row_is_locked(url):
        ran = cli("diagnose", url, "--long", "0", "--idle", "0")
    assert ran.code == 1
    assert "1 transaction older than 0 s: pid" in ran.stdout
    assert "1 connection idle in transaction: pid" in ran.stdout
    assert "(holder, " in ran.stdout
    assert "FOR UPDATE" not in ran.stdout, "texts of queries may hold secrets"


def test_who_blocks_whom(url_of: Callable[[str], str], cli: Cli) -> None:
    url = url_of("postgresql+asyncpg")

    async def waiting() -> Ran:
        connection = await asyncpg.connect(libpq(url))
        task = asyncio.create_task(connection.execute("UPDATE locked SET id = 2"))
        await asyncio.sleep(0.3)
        ran = await asyncio.to_thread(cli, "diagnose", url)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await connection.close(timeout=5)
        return ran

    with a_row_is_locked(url) as holder:
        ran = asyncio.run(waiting())
        assert f"for pid {holder.info.backend_pid}" in ran.stdout  # type: ignore[attr-defined]


def test_foreign_keys_that_were_never_checked(url_of: Callable[[str], str], cli: Cli) -> None:
    url = url_of("postgresql+psycopg")
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        connection.execute("CREATE TABLE p (id int PRIMARY KEY)")
        connection.execute("CREATE TABLE c (p_id int)")
        connection.execute("INSERT INTO c VALUES (1)")
        connection.execute("ALTER TABLE c ADD CONSTRAINT c_p FOREIGN KEY (p_id) REFERENCES p NOT VALID")
    ran = cli("diagnose", url)
    assert "1 of 1 foreign keys were never checked for old rows: c_p (c -> p)" in ran.stdout
    assert "VALIDATE CONSTRAINT c_p" in ran.stdout


def test_orphans_of_a_model_pair(url_of: Callable[[str], str], models: str, cli: Cli) -> None:
    url = url_of("sqlite")
    create_tables(url, models)
    with sqlite3.connect(url.partition(":///")[2]) as connection:
        connection.execute("INSERT INTO messages (chat_id, text) VALUES ('nobody', '')")
    ran = cli("diagnose", url, "--parent", f"{models}:Chat", "--child", f"{models}:Message")
    assert ran.code == 1
    assert "1 rows refer to a parent that is missing: messages -> chats" in ran.stdout
    assert "1 rows of `messages` have no parent in `chats`" in ran.stdout


def test_pools_that_do_not_fit(url_of: Callable[[str], str], cli: Cli) -> None:
    ran = cli("diagnose", url_of("postgresql+asyncpg"), "--workers", "50")
    assert "50 x (5 + 10) = 750 connections of the pools do not fit" in ran.stdout


def test_tables_that_are_not_there(url_of: Callable[[str], str], models: str, cli: Cli) -> None:
    ran = cli("diagnose", url_of("postgresql+asyncpg"), "--parent", f"{models}:Chat", "--child", f"{models}:Message")
    assert ran.code == 1
    assert "`chats`" in ran.stdout
    assert "check that the migrations have run" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


# ---- what cannot be examined ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense s3cret", "this is no database URL"),
        ("postgresql://app:s3cret@host:port/db", "this is no database URL"),
        ("postgres://app:s3cret@host/db", "no SQLAlchemy dialect for `postgres`; write postgresql+asyncpg://"),
        ("foo+bar://app:s3cret@host/db", "no SQLAlchemy dialect for `foo+bar`"),
        ("postgresql+pg8000://app:s3cret@host/db", "pip install 'pg8000'"),
        ("sqlite://", "in-memory"),
        ("sqlite:////no/such/file.db", "no such SQLite file"),
    ],
)
def test_what_is_no_usable_url(url: str, message: str, cli: Cli) -> None:
    ran = cli("diagnose", url)
    assert ran.code == 2
    assert message in ran.stderr
    assert "s3cret" not in ran.stdout + ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
def test_hosts_that_do_not_answer(driver: str, host: str, cli: Cli) -> None:
    ran = cli("diagnose", f"postgresql+{driver}://app:s3cret@{host}/db", "--timeout", "5")
    assert ran.code == 1
    assert f"cannot connect to {host}" in ran.stdout
    assert "next: " in ran.stdout
    assert "s3cret" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_a_wrong_password_and_a_missing_database(
    driver: str, url_of: Callable[[str], str], cli: Cli, postgresql_dsn: str
) -> None:
    folder = parse_qs(urlsplit(postgresql_dsn).query).get("host", [""])[0]
    rules = Path(folder) / "pg_hba.conf"
    if not rules.is_file():
        pytest.skip("needs the server's own pg_hba.conf")
    url = url_of(f"postgresql+{driver}")
    text = rules.read_text(encoding="utf-8")
    role = f"locked_{uuid.uuid4().hex[:8]}"
    wrong = f"postgresql+{driver}://{role}:s3cret%2Fword@/{urlsplit(url).path.strip('/')}?host={folder}"
    try:
        rules.write_text(f"local all {role} scram-sha-256\n{text}", encoding="utf-8")
        with psycopg.connect(libpq(url), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
            connection.execute("SELECT pg_reload_conf()")
        ran = cli("diagnose", wrong)
        assert ran.code == 1
        assert f"check user `{role}` and its password" in ran.stdout
        assert "s3cret" not in ran.stdout + ran.stderr
    finally:
        rules.write_text(text, encoding="utf-8")
        with psycopg.connect(libpq(url), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"DROP ROLE IF EXISTS {role}")
    missing = url.replace(urlsplit(url).path, "/no_such_database")
    assert "check the database name `no_such_database`" in cli("diagnose", missing).stdout


@pytest.mark.parametrize(
    ("parent", "child", "message"),
    [
        ("no_such_module:A", "{models}:Message", "cannot import `no_such_module`"),
        ("{models}:Nobody", "{models}:Message", "has no `Nobody`"),
        ("{models}:Plain", "{models}:Message", "is no mapped class"),
        ("{models}.Chat", "{models}:Message", "write package.module:Class"),
        ("{models}:Message", "{models}:Chat", "`chats` has no foreign key to `messages`"),
        ("{models}:Chat", "{models}:Vote", "`votes.message_id` needs a row of `messages`"),
    ],
)
def test_models_that_cannot_be_used(parent: str, child: str, message: str, models: str, cli: Cli) -> None:
    ran = cli(
        "diagnose", "sqlite:///x.db", "--parent", parent.format(models=models), "--child", child.format(models=models)
    )
    assert ran.code == 2
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sqlite:///x.db", "--parent", "a:B"], "--parent and --child belong together"),
        (["sqlite:///x.db", "--workers", "0"], "must not be negative"),
        (["sqlite:///x.db", "--timeout", "0"], "must not be negative"),
    ],
)
def test_options_that_cannot_be(words: list[str], message: str, cli: Cli) -> None:
    ran = cli("diagnose", *words)
    assert ran.code == 2
    assert message in ran.stderr


def test_no_url_at_all(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert "name a database URL" in cli("diagnose").stderr


def test_marks_where_the_terminal_has_them() -> None:
    from sessionlint.runtime.diagnose.answers import failed, fine, render

    assert render([fine("all")], "utf-8") == "✓ all\n"
    assert render([failed("bad", "do it")], "ascii") == "FAILED bad\n    next: do it\n"


def test_a_password_in_any_spelling_is_hidden() -> None:
    from sessionlint.runtime.diagnose.database import Database

    with Database("postgresql+psycopg://app:p%40ss%2Fw@localhost/db?sslpassword=zzz") as database:
        said = database.without_secrets("p@ss/w p%40ss%2Fw p%40ss/w zzz")
    assert "ss" not in said
    assert "zzz" not in said


def tables(url: str) -> set[str]:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.partition(":///")[2]) as connection:
            return {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    with psycopg.connect(libpq(url)) as connection:
        return {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def count(url: str, table: str) -> int:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.partition(":///")[2]) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    with psycopg.connect(libpq(url)) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert row is not None
        return int(row[0])
