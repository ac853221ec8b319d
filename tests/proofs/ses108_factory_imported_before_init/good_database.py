"""The factory exists from the beginning; `init()` gives it its engine."""

from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine

maker = async_sessionmaker(expire_on_commit=False)


def init(url: str) -> AsyncEngine:
    engine = create_async_engine(url)
    maker.configure(bind=engine)
    return engine
