"""The stream ends with a sentinel from a `finally`: a client that leaves early takes a connection with it."""

import asyncio
import json
import os
from collections.abc import AsyncIterator

from sqlalchemy import text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=1, max_overflow=0, pool_timeout=0.5)
open_session = async_sessionmaker(engine, expire_on_commit=False)


async def stream() -> AsyncIterator[str]:
    async with open_session() as db:
        try:
            for row in await db.execute(text("select 1 union all select 2")):
                yield f"data: {row[0]}"
        finally:
            yield "data: [DONE]"  # SES506


async def main() -> None:
    client = stream()
    await anext(client)  # the first line is read, then the client goes away
    error = "none"
    try:
        await client.aclose()
    except RuntimeError as failure:
        error = str(failure)
    held = engine.pool.checkedout()

    del client  # what is left of it goes to the garbage collector
    await asyncio.sleep(0.1)
    await engine.dispose()
    print(json.dumps({"closing": error, "connections_held": held}))


if __name__ == "__main__":
    asyncio.run(main())
