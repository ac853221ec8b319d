"""The guide's integration tests, rewritten to test what they claim, for any class of unit of work.

Each check looks through a connection of its own: a session shows its own flushed rows as if they were saved. Each uses
identifiers of its own: the originals fail when they run a second time.
"""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from sessionlint.runtime import SSEUnitOfWork, sqlstate_of
from tests.runtime.conftest import Database
from tests.runtime.models import Conversation, Message

UnitClass = type[SSEUnitOfWork]


def _saved(database: Database, key: str) -> bool:
    return bool(database.rows(f"SELECT 1 FROM conversations WHERE id = '{key}'"))


async def uow_commit(unit: UnitClass, database: Database) -> None:
    """Section 2.2, step 5, `test_uow_commit`."""
    key = f"test-{uuid4()}"
    async with unit(database.factory) as uow:
        uow.session.add(Conversation(id=key))
        await uow.commit()
        assert _saved(database, key), "commit() returned, and nobody else sees the row"
    assert _saved(database, key)


async def uow_rollback_on_error(unit: UnitClass, database: Database) -> None:
    """Section 2.2, step 5, `test_uow_rollback_on_error`: what was committed stays, what was not is gone."""
    committed, pending = f"test-{uuid4()}", f"test-{uuid4()}"
    with pytest.raises(ValueError, match="Test error"):
        async with unit(database.factory) as uow:
            uow.session.add(Conversation(id=committed))
            await uow.commit()
            uow.session.add(Conversation(id=pending))
            await uow.flush()
            raise ValueError("Test error")
    assert _saved(database, committed), "the commit before the error did not save"
    assert not _saved(database, pending), "uncommitted work survived the error"


async def uow_exit_without_commit(unit: UnitClass, database: Database) -> None:
    """What the guide leaves open: a normal exit saves nothing that was not committed."""
    key = f"test-{uuid4()}"
    async with unit(database.factory) as uow:
        uow.session.add(Conversation(id=key))
        await uow.flush()
    assert not _saved(database, key)


async def message_saved_after_commit(unit: UnitClass, database: Database) -> None:
    """Appendix B, `test_message_saved_after_commit`."""
    key = f"test-{uuid4()}"
    async with unit(database.factory) as uow:
        uow.session.add(Conversation(id=key))
        await uow.commit()
        uow.session.add(Message(conversation_id=key, content="Hello"))
        await uow.commit()
    assert database.rows(f"SELECT content FROM messages WHERE conversation_id = '{key}'") == [("Hello",)]


async def parent_and_child_in_one_transaction(unit: UnitClass, database: Database) -> None:
    """Appendix B, `test_fk_violation_without_commit`, first half: with a mapped foreign key nothing is violated.

    The guide expects an error here. The unit of work of SQLAlchemy inserts parents first, and within one transaction
    the child sees its uncommitted parent.
    """
    key = f"test-{uuid4()}"
    async with unit(database.factory) as uow:
        uow.session.add(Message(conversation_id=key, content="Hello"))
        uow.session.add(Conversation(id=key))
        await uow.commit()
    assert database.rows(f"SELECT content FROM messages WHERE conversation_id = '{key}'") == [("Hello",)]


async def missing_parent(unit: UnitClass, database: Database) -> None:
    """Second half: without the parent there is an error, it says which one, and nothing is saved."""
    key = f"test-{uuid4()}"
    with pytest.raises(IntegrityError) as caught:
        async with unit(database.factory) as uow:
            uow.session.add(Message(conversation_id=key, content="Hello"))
            await uow.commit()
    assert sqlstate_of(caught.value) == ("23503" if database.server else "")
    assert database.rows(f"SELECT 1 FROM messages WHERE conversation_id = '{key}'") == []


CHECKS = (
    uow_commit,
    uow_rollback_on_error,
    uow_exit_without_commit,
    message_saved_after_commit,
    parent_and_child_in_one_transaction,
    missing_parent,
)


async def uow_commit_as_the_guide_has_it(unit: UnitClass, database: Database) -> None:
    """The original assertion, kept to show what it can't see."""
    async with unit(database.factory) as uow:
        uow.session.add(Conversation(id="test-123"))
        await uow.commit()
        result = await uow.session.execute(select(Conversation).where(Conversation.id == "test-123"))
        assert result.scalar_one_or_none() is not None
