"""Alembic migrations: the same files for SQLite and PostgreSQL."""
