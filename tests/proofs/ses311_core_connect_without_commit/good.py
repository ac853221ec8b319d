"""The block commits at its end."""

import asyncio
import json
import os

from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.ext.asyncio import create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"])
metadata = MetaData()
events = Table("ses311_good_events", metadata, Column("id", Integer, primary_key=True), Column("kind", String))


async def record(kinds: list[str]) -> int:
    async with engine.begin() as connection:
        await connection.execute(insert(events), [{"kind": kind} for kind in kinds])
        return await connection.scalar(select(func.count()).select_from(events)) or 0


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)

    seen = await record(["start", "stop"])

    async with engine.connect() as connection:
        rows = await connection.scalar(select(func.count()).select_from(events))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.drop_all)
    await engine.dispose()
    print(json.dumps({"seen_inside": seen, "rows": rows}))


if __name__ == "__main__":
    asyncio.run(main())
