"""The import copies the factory itself, which `init()` configures."""

import asyncio
import json
import os

from good_database import init, maker
from sqlalchemy import text


async def main() -> None:
    engine = init(os.environ["DATABASE_URL"])
    answer, error = None, ""
    try:
        async with maker() as db:
            answer = await db.scalar(text("select 1"))
    except TypeError as caught:
        error = str(caught)
    await engine.dispose()
    print(json.dumps({"answer": answer, "error": error}))


if __name__ == "__main__":
    asyncio.run(main())
