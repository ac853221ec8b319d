"""`commit-owner` says which layer commits; SES201, SES202 and SES209 follow it, the technical rules do not."""

from __future__ import annotations

import pytest

from sessionlint.testing import check_example

PROJECT = """
# --- pyproject.toml ---
[project]
name = "shop"
version = "1"

[tool.sessionlint]
commit-owner = "{owner}"

# --- shop/models.py ---
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)

# --- shop/stores.py ---
from sqlalchemy.ext.asyncio import AsyncSession
from shop.models import Order


class OrderRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self) -> None:
        self._session.add(Order())
        await self._session.commit()

    async def try_add(self) -> None:
        try:
            self._session.add(Order())
            await self._session.flush()
        except Exception:
            await self._session.rollback()

# --- shop/crud/orders.py ---
from sqlalchemy.ext.asyncio import AsyncSession
from shop.models import Order


async def add(db: AsyncSession) -> None:
    db.add(Order())
    await db.commit()

# --- shop/orders.py ---
from sqlalchemy.ext.asyncio import AsyncSession
from shop.models import Order


class OrderService:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def place(self) -> None:
        self._session.add(Order())
        await self._session.commit()

    async def try_place(self) -> None:
        try:
            self._session.add(Order())
            await self._session.flush()
        except Exception:
            await self._session.rollback()

    async def block(self) -> None:
        async with self._session.begin():
            self._session.add(Order())
            await self._session.commit()
            self._session.add(Order())


async def rename(db: AsyncSession) -> None:
    db.add(Order())
    await db.commit()
"""

#: (code, file, line) of every place the policy can allow, by policy
EXPECTED = {
    "boundary": {
        ("SES201", "shop/stores.py", 11), ("SES209", "shop/stores.py", 18), ("SES202", "shop/crud/orders.py", 7),
        ("SES202", "shop/orders.py", 11), ("SES209", "shop/orders.py", 18), ("SES202", "shop/orders.py", 29),
    },
    "service": {
        ("SES201", "shop/stores.py", 11), ("SES209", "shop/stores.py", 18), ("SES202", "shop/crud/orders.py", 7),
    },
    "repository": {("SES202", "shop/orders.py", 11), ("SES209", "shop/orders.py", 18)},
}  # fmt: skip


@pytest.mark.parametrize("owner", sorted(EXPECTED))
def test_the_policy_decides_who_is_reported(owner: str) -> None:
    found = check_example(PROJECT.replace("{owner}", owner), every_rule=False)
    told = {(code, file, line) for file, line, code in found if code in {"SES201", "SES202", "SES209"}}
    assert told - {("SES202", "shop/orders.py", 23)} == EXPECTED[owner]


@pytest.mark.parametrize("owner", sorted(EXPECTED))
def test_a_commit_inside_a_block_raises_whoever_commits(owner: str) -> None:
    found = check_example(PROJECT.replace("{owner}", owner), every_rule=False)
    assert ("shop/orders.py", 23, "SES203") in found
