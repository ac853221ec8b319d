"""Three tasks of one gather() write through the same session at the same time."""

import asyncio
import json
import os

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["DATABASE_URL"])
open_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Measurement(Base):
    __tablename__ = "ses401_bad_measurements"
    id: Mapped[int] = mapped_column(primary_key=True)
    sensor: Mapped[str]


async def record(db: AsyncSession, sensor: str) -> None:
    db.add(Measurement(sensor=sensor))
    await db.flush()


async def record_all(sensors: list[str]) -> list[BaseException | None]:
    async with open_session() as db:
        outcomes = await asyncio.gather(*[record(db, sensor) for sensor in sensors], return_exceptions=True)  # SES401
        if not any(outcomes):
            await db.commit()
        return outcomes


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
        await connection.run_sync(Base.metadata.create_all)

    failures = [outcome for outcome in await record_all(["cellar", "attic", "garden"]) if outcome]
    error = type(failures[0]).__name__ if failures else "none"
    text = str(failures[0]) if failures else ""

    async with open_session() as db:
        rows = await db.scalar(select(func.count()).select_from(Measurement))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"error": error, "text": text, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
