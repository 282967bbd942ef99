"""The HTTP interface: one module for each noun, under /api/v1."""
