"""Alembic's migrations; they travel with the package."""
