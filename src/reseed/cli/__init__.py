"""The `reseed` command."""
