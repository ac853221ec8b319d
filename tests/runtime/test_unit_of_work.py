"""What a unit of work promises: explicit commit, rollback on exit, nothing lost in silence."""

from __future__ import annotations

import warnings

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.exc import IntegrityError

from sessionlint.runtime import (
    LostWriteError,
    LostWriteWarning,
    RollbackOnlyError,
    SSEUnitOfWork,
    TransactionOpenError,
    UnitOfWorkError,
)
from tests.runtime.conftest import Database
from tests.runtime.models import Conversation, Message

pytestmark = [pytest.mark.asyncio, pytest.mark.filterwarnings("error::sessionlint.runtime.errors.LostWriteWarning")]


async def test_only_what_is_committed_is_saved(database: Database):
    async with database.unit() as uow:
        uow.session.add(Conversation(id="kept"))
        await uow.commit("create")
        uow.session.add(Conversation(id="given up"))
        await uow.flush()
        await uow.rollback()
    assert database.ids() == ["kept"]
    assert (uow.commits, uow.rollbacks) == (1, 1)
    assert database.checked_out() == 0


async def test_an_exception_rolls_back_and_is_raised(database: Database):
    with pytest.raises(ValueError, match="mine"):
        async with database.unit() as uow:
            uow.session.add(Conversation(id="a"))
            await uow.commit()
            uow.session.add(Conversation(id="b"))
            await uow.flush()
            raise ValueError("mine")
    assert database.ids() == ["a"]
    assert database.checked_out() == 0


def _add(uow: SSEUnitOfWork) -> None:
    uow.session.add(Conversation(id="new"))


async def _flush(uow: SSEUnitOfWork) -> None:
    _add(uow)
    await uow.flush()


async def _core(uow: SSEUnitOfWork) -> None:
    await uow.session.execute(insert(Conversation).values(id="core", title="", hits=0))


async def _update(uow: SSEUnitOfWork) -> None:
    await uow.session.execute(update(Conversation).values(hits=7))


async def _text(uow: SSEUnitOfWork) -> None:
    await uow.session.execute(text("INSERT INTO conversations (id, title, hits) VALUES ('text', '', 0)"))


async def _released_savepoint(uow: SSEUnitOfWork) -> None:
    async with uow.savepoint():
        _add(uow)


async def _changed(uow: SSEUnitOfWork) -> None:
    kept = await uow.session.get(Conversation, "old")
    assert kept is not None
    kept.title = "changed"


async def _deleted(uow: SSEUnitOfWork) -> None:
    await uow.session.delete(await uow.session.get(Conversation, "old"))


@pytest.mark.parametrize(
    ("write", "named"),
    [
        (_add, "Conversation (never flushed)"),
        (_flush, "Conversation"),
        (_core, "INSERT"),
        (_update, "UPDATE"),
        (_text, "INSERT"),
        (_released_savepoint, "Conversation"),
        (_changed, "Conversation (never flushed)"),
        (_deleted, "Conversation (never flushed)"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_lost_writes_are_said(database: Database, write, named: str):
    async with database.unit() as uow:
        uow.session.add(Conversation(id="old"))
        await uow.commit()
    with pytest.warns(LostWriteWarning, match="without commit") as seen:
        async with database.unit() as uow:
            if (waiting := write(uow)) is not None:
                await waiting
    assert f"rolled back: {named}." in str(seen[0].message)
    assert seen[0].filename == __file__
    with pytest.raises(LostWriteError):
        async with database.unit(strict=True) as uow:
            if (waiting := write(uow)) is not None:
                await waiting
    assert database.checked_out() == 0
    assert database.rows("SELECT id, title, hits FROM conversations") == [("old", "", 0)]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_no_warning_where_nothing_is_lost(database: Database):
    async with database.unit() as uow:
        uow.session.add(Conversation(id="old", title="same"))
        await uow.commit()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with database.unit() as uow:
            old = await uow.session.get(Conversation, "old")
            old.title = "same"  # no net change
            await uow.flush()
        async with database.unit() as uow:
            with pytest.raises(KeyError):
                async with uow.savepoint():
                    async with uow.savepoint():
                        await _flush(uow)
                    raise KeyError
        async with database.unit() as uow:
            await _flush(uow)
            await uow.session.commit()  # past the unit of work, but saved
            await uow.session.execute(text("SELECT 1"))
        async with database.unit() as uow:
            await _core(uow)
            uow.set_rollback_only()
    assert database.ids() == ["new", "old"]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_wrong_use_is_refused(database: Database):
    uow = database.unit("mine")
    with pytest.raises(UnitOfWorkError, match="not open"):
        uow.session  # noqa: B018
    with pytest.raises(UnitOfWorkError, match="not open"):
        await uow.commit()
    async with uow:
        with pytest.raises(UnitOfWorkError, match="open already"):
            await uow.__aenter__()
        await uow.session.execute(text("SELECT 1"))
        with pytest.raises(TransactionOpenError, match="within an open transaction"):
            async with uow.transaction("save"):
                pass
    assert not uow.is_open
    async with uow:  # one after the other is fine
        assert uow.commits == 0


async def test_a_failed_commit_leaves_a_usable_session(database: Database):
    fates: list[str] = []
    async with database.unit() as uow:
        uow.after_rollback(lambda: fates.append("rolled back"))
        uow.after_commit(lambda: fates.append("committed"))
        uow.session.add(Message(conversation_id="missing"))
        with pytest.raises(IntegrityError):
            await uow.commit("save")
        assert not uow.in_transaction()
        assert not uow.commit_in_doubt
        uow.session.add(Conversation(id="error noted"))
        await uow.commit("note")
    assert fates == ["rolled back"]
    assert database.ids() == ["error noted"]


async def test_transaction_block_commits_or_rolls_back(database: Database):
    async with database.unit() as uow:
        async with uow.transaction("one") as session:
            session.add(Conversation(id="one"))
        with pytest.raises(ValueError):
            async with uow.transaction("two") as session:
                session.add(Conversation(id="two"))
                await session.flush()
                raise ValueError
        async with uow.transaction("three") as session:
            session.add(Conversation(id="three"))
    assert database.ids() == ["one", "three"]
    assert uow.commits == 2


async def test_a_savepoint_fails_on_its_own(database: Database):
    async with database.unit() as uow:
        uow.session.add(Conversation(id="outer"))
        with pytest.raises(IntegrityError):
            async with uow.savepoint():
                uow.session.add(Message(conversation_id="missing"))
        async with uow.savepoint():
            uow.session.add(Message(conversation_id="outer"))
        await uow.commit()
    assert database.rows("SELECT conversation_id FROM messages") == [("outer",)]


async def test_release_gives_the_connection_back_and_keeps_what_was_read(database: Database):
    async with database.unit() as uow:
        uow.session.add(Conversation(id="read", title="t"))
        await uow.commit()
    async with database.unit() as uow:
        read = await uow.session.get(Conversation, "read")
        assert database.checked_out() == 1
        await uow.release()
        assert database.checked_out() == 0
        assert read.title == "t"
        read.title = "written"
        with pytest.raises(TransactionOpenError, match="Conversation"):
            await uow.release()
        await uow.commit()
    assert database.rows("SELECT title FROM conversations") == [("written",)]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_autocommit_commits_only_a_normal_exit(database: Database):
    async with database.unit(autocommit=True) as uow:
        uow.session.add(Conversation(id="normal"))
    with pytest.raises(ValueError):
        async with database.unit(autocommit=True) as uow:
            uow.session.add(Conversation(id="error"))
            raise ValueError
    async with database.unit(autocommit=True) as uow:
        uow.session.add(Conversation(id="marked"))
        uow.set_rollback_only()
        with pytest.raises(RollbackOnlyError):
            await uow.commit()
    with pytest.raises(IntegrityError):
        async with database.unit(autocommit=True) as uow:
            uow.session.add(Message(conversation_id="missing"))
    assert database.ids() == ["normal"]
    assert database.checked_out() == 0


async def test_joined_unit_leaves_the_decision_to_the_owner(database: Database):
    fates: list[str] = []

    async def tell() -> None:
        fates.append("from a coroutine")

    async with database.unit() as owner:
        async with SSEUnitOfWork.join(owner.session) as joined:
            joined.session.add(Conversation(id="joined"))
            joined.after_commit(lambda: fates.append("committed"))
            joined.after_commit(tell)
            await joined.commit("inner")
            with pytest.raises(UnitOfWorkError, match="owner"):
                await joined.rollback()
            async with joined.transaction("part"):
                joined.session.add(Message(conversation_id="joined"))
        assert (database.ids(), fates) == ([], [])
        await owner.commit("outer")
    assert database.ids() == ["joined"]
    assert fates == ["committed", "from a coroutine"]


async def test_joined_to_a_plain_session(database: Database):
    fates: list[str] = []
    async with database.factory() as session:
        async with SSEUnitOfWork.join(session) as joined:
            joined.after_commit(lambda: fates.append("committed"))
            joined.after_rollback(lambda: fates.append("rolled back"))
            joined.session.add(Conversation(id="plain"))
            async with joined.savepoint():
                joined.session.add(Message(conversation_id="plain"))
            await joined.commit()
            assert fates == []
        await session.commit()
        assert fates == ["committed"]
        joined = SSEUnitOfWork.join(session)
        async with joined:
            joined.after_rollback(lambda: fates.append("rolled back"))
            joined.session.add(Conversation(id="lost"))
            await joined.flush()
    assert fates == ["committed", "rolled back"]
    assert database.ids() == ["plain"]


async def test_unit_around_a_session_commits_and_leaves_the_rest_to_its_owner(database: Database):
    async with database.factory() as session:
        session.add(Conversation(id="before"))
        async with SSEUnitOfWork.around(session, name="inner") as uow:
            session.add(Conversation(id="inside"))
            await uow.commit("save")
            assert (database.ids(), uow.commits) == (["before", "inside"], 1)
            session.add(Conversation(id="later"))
            await uow.release()
            assert session.in_transaction(), "what its owner has written is not for release() to end"
        assert database.ids() == ["before", "inside"], "leaving the block ends nothing"
        await session.commit()
        with pytest.raises(ValueError):
            async with SSEUnitOfWork.around(session) as uow:
                session.add(Conversation(id="kept"))
                raise ValueError
        await session.commit()
    assert database.ids() == ["before", "inside", "kept", "later"]
    assert database.checked_out() == 0


async def test_unit_around_the_session_of_another_unit_is_refused(database: Database):
    async with database.unit() as owner:
        with pytest.raises(UnitOfWorkError, match="join"):
            await SSEUnitOfWork.around(owner.session).__aenter__()
        async with SSEUnitOfWork.join(owner.session) as joined:
            joined.session.add(Conversation(id="joined"))
        await owner.commit()
    assert database.ids() == ["joined"]


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_hooks_fire_once_after_the_commit(database: Database, caplog: pytest.LogCaptureFixture):
    seen: list[object] = []

    def broken() -> None:
        raise RuntimeError("in a hook")

    async with database.unit() as uow:
        uow.session.add(Conversation(id="a"))
        uow.after_commit(broken)
        uow.after_commit(lambda: seen.append(database.ids()))
        uow.after_rollback(lambda: seen.append("rollback"))
        assert seen == []
        await uow.commit()
        uow.session.add(Conversation(id="b"))
        await uow.commit()
    assert seen == [["a"]]
    assert "in a hook" in caplog.text


@pytest.mark.parametrize("backend", ["sqlite"])
async def test_a_subclass_binds_its_repositories(database: Database):
    class Conversations:
        def __init__(self, session):
            self.session = session

    class Chat(SSEUnitOfWork):
        def bind(self, session):
            self.conversations = Conversations(session)

    async with Chat(database.factory) as uow:
        assert uow.conversations.session is uow.session
        async with Chat.join(uow.session) as joined:
            assert joined.conversations.session is uow.session
