"""Databases for the programs: the same server as the proofs use."""

from tests.proofs.conftest import fresh_database, postgresql_dsn

__all__ = ["fresh_database", "postgresql_dsn"]
