"""The factory is None until `init()` has run."""

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

engine: AsyncEngine | None = None
maker: async_sessionmaker[AsyncSession] | None = None


def init(url: str) -> AsyncEngine:
    global engine, maker
    engine = create_async_engine(url)
    maker = async_sessionmaker(engine, expire_on_commit=False)
    return engine
