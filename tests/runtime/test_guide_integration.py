"""The guide's own integration tests hold for our unit of work, and break for units that only pretend to work."""

from __future__ import annotations

import pytest

from sessionlint.runtime import SSEUnitOfWork
from tests.runtime import guide_checks
from tests.runtime.conftest import POSTGRESQL, Database
from tests.runtime.models import Conversation, Message

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.filterwarnings("ignore::sessionlint.runtime.errors.LostWriteWarning"),
]


class CommitOnlyFlushes(SSEUnitOfWork):
    """A mutant: looks right from within, saves nothing."""

    async def commit(self, operation: str | None = None) -> None:
        await self.flush()


class ExitCommits(SSEUnitOfWork):
    """A mutant: the guide's own class commits whatever is there at a normal exit."""

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        if exc is None and self.is_open:
            await self.commit()
        await super().__aexit__(exc_type, exc, traceback)


class ErrorCommits(SSEUnitOfWork):
    """A mutant: commits even when the block raised."""

    async def __aexit__(self, exc_type, exc, traceback) -> None:
        if exc is not None and self.is_open:
            await self.commit()
        await super().__aexit__(exc_type, exc, traceback)


@pytest.mark.parametrize("check", guide_checks.CHECKS, ids=lambda check: check.__name__)
async def test_guide(database: Database, check):
    await check(SSEUnitOfWork, database)
    await check(SSEUnitOfWork, database)  # the originals fail on their second run


MUST_FAIL = [
    (CommitOnlyFlushes, guide_checks.uow_commit),
    (CommitOnlyFlushes, guide_checks.uow_rollback_on_error),
    (CommitOnlyFlushes, guide_checks.message_saved_after_commit),
    (CommitOnlyFlushes, guide_checks.parent_and_child_in_one_transaction),
    (ExitCommits, guide_checks.uow_exit_without_commit),
    (ErrorCommits, guide_checks.uow_rollback_on_error),
]


@pytest.mark.parametrize("backend", ["asyncpg", "sqlite"])
@pytest.mark.parametrize(("mutant", "check"), MUST_FAIL, ids=lambda value: value.__name__)
async def test_the_tests_notice_mutants(database: Database, mutant, check):
    with pytest.raises(AssertionError):
        await check(mutant, database)


@pytest.mark.parametrize("backend", ["asyncpg"])
async def test_the_original_test_does_not_notice(database: Database):
    await guide_checks.uow_commit_as_the_guide_has_it(CommitOnlyFlushes, database)
    assert database.ids() == [], "the guide's test is green, and no row was saved"


@pytest.mark.parametrize("backend", POSTGRESQL)
async def test_a_parent_that_is_only_flushed_elsewhere(database: Database):
    """Where the guide's rule does hold: over two sessions the parent has to be committed first."""
    async with database.unit("parent") as parent, database.unit("child") as child:
        parent.session.add(Conversation(id="p"))
        await parent.flush()
        child.session.add(Message(conversation_id="p"))
        with pytest.raises(Exception, match="foreign key"):
            await child.commit()
        await parent.commit()
        child.session.add(Message(conversation_id="p"))
        await child.commit()
    assert database.rows("SELECT conversation_id FROM messages") == [("p",)]
