"""A repository commits on every save: a transfer that fails half-way has already taken the money."""

import asyncio
import json
import os

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "ses201_accounts"
    id: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int]
    frozen: Mapped[bool] = mapped_column(default=False)


class AccountFrozen(Exception):
    pass


class AccountRepository:
    def __init__(self, db: AsyncSession) -> None:
        self._db = db

    async def get(self, key: str) -> Account:
        return await self._db.get_one(Account, key)

    async def save(self, account: Account) -> None:
        self._db.add(account)
        await self._db.commit()  # every save is a transaction of its own


class TransferService:
    def __init__(self, accounts: AccountRepository) -> None:
        self._accounts = accounts

    async def transfer(self, source: str, target: str, amount: int) -> None:
        giver = await self._accounts.get(source)
        giver.balance -= amount
        await self._accounts.save(giver)
        taker = await self._accounts.get(target)
        if taker.frozen:
            raise AccountFrozen(target)
        taker.balance += amount
        await self._accounts.save(taker)


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)
    async with open_session.begin() as db:
        db.add_all([Account(id="anna", balance=100), Account(id="bert", balance=0, frozen=True)])

    error = None
    async with open_session() as db:
        try:
            await TransferService(AccountRepository(db)).transfer("anna", "bert", 60)
            await db.commit()
        except AccountFrozen as frozen:
            await db.rollback()
            error = type(frozen).__name__

    async with open_session() as db:
        balances = dict((await db.execute(select(Account.id, Account.balance))).tuples().all())
    await engine.dispose()
    print(json.dumps({"error": error, "anna": balances["anna"], "sum": sum(balances.values())}))


if __name__ == "__main__":
    asyncio.run(main())
