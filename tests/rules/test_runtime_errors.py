"""Error texts lead to the rules that find their cause; the table and the proofs tell the same story."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomli

from sessionlint.cli.explain import about_error
from sessionlint.rules import registry
from sessionlint.rules.runtime_errors import known_errors, recognised

PROOFS = sorted(Path(__file__).parent.parent.glob("proofs/ses*/proof.toml"))

#: real texts, as SQLAlchemy 2.0, the drivers and the servers print them, and the code they must lead to
TEXTS = [
    (block.partition("\n")[0].strip(), block.partition("\n")[2].strip())
    for block in (Path(__file__).with_name("runtime_errors.txt")).read_text(encoding="utf-8").split("== ")[1:]
]


@pytest.mark.parametrize(("code", "text"), TEXTS, ids=[f"{c}-{t[:40]}" for c, t in TEXTS])
def test_real_texts_lead_to_the_rule(code: str, text: str) -> None:
    assert code in about_error(text, registry.all_rules())


def test_a_traceback_is_read_whole_and_its_last_error_comes_first() -> None:
    text = """
    Traceback (most recent call last):
      File "/app/service.py", line 12, in save
        await db.flush()
    sqlalchemy.exc.IntegrityError: (sqlalchemy.dialects.postgresql.asyncpg.IntegrityError) <class
      'asyncpg.exceptions.ForeignKeyViolationError'>: insert or update on table "messages" violates foreign
      key constraint "messages_session_id_fkey"

    During handling of the above exception, another exception occurred:

    Traceback (most recent call last):
      File "/app/service.py", line 15, in save
        await db.execute(query)
    sqlalchemy.exc.PendingRollbackError: This Session's transaction has been rolled back due to a
    previous exception during flush.
    """
    assert [error.name for error in recognised(text)] == ["PendingRollbackError", "foreign key violation"]


def test_other_texts_are_not_recognised() -> None:
    assert recognised("KeyError: 'session'") == []
    assert recognised("ValueError: invalid literal for int() with base 10") == []


def test_every_row_is_complete() -> None:
    names = [error.name for error in known_errors()]
    assert len(names) == len(set(names))
    for error in known_errors():
        assert error.seen and error.rules and error.means.endswith("."), error.name
        assert all(re.fullmatch(r"SES[1-6]\d\d", code) for code in error.rules), error.name


def _messages() -> list[tuple[str, str]]:
    """(code, text) of every message that a proof expects its bad program to show."""
    found = []
    for path in PROOFS:
        for backend in tomli.loads(path.read_text(encoding="utf-8")).get("bad", {}).values():
            found += [
                (path.parent.name[:6].upper(), text)
                for text in backend.values()
                if isinstance(text, str) and recognised(text)
            ]
    return sorted(set(found))


@pytest.mark.parametrize(("code", "text"), _messages())
def test_messages_of_the_proofs_lead_to_their_rule(code: str, text: str) -> None:
    assert any(code in error.rules for error in recognised(text)), f"{code} is not among the causes of {text!r}"
