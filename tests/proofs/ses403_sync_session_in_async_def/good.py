"""The same work in a thread, with a session of its own there."""

import asyncio
import itertools
import json
import os
import time

import httpx
from fastapi import FastAPI
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session, sessionmaker

url = make_url(os.environ["DATABASE_URL"])
drivers = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
engine = create_engine(url.set(drivername=drivers[url.get_backend_name()]))
open_session = sessionmaker(engine)
app = FastAPI()


def slow_report(db: Session) -> None:
    db.execute(text("select pg_sleep(0.5)"))


def report_in_thread() -> None:
    with open_session() as db:
        slow_report(db)


@app.get("/report")
async def report() -> None:
    await asyncio.to_thread(report_in_thread)


async def heartbeat(beats: list[float]) -> None:
    for _ in range(12):
        beats.append(time.monotonic())
        await asyncio.sleep(0.05)


async def main() -> None:
    beats: list[float] = []
    beating = asyncio.create_task(heartbeat(beats))
    await asyncio.sleep(0.1)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app") as client:
        await client.get("/report")
    await beating
    longest = max(later - earlier for earlier, later in itertools.pairwise(beats))
    engine.dispose()
    print(json.dumps({"stood_still": longest > 0.45, "seconds": longest}))


if __name__ == "__main__":
    asyncio.run(main())
