"""Backups: one tarball with the database, the files that it speaks of and their digests, and the way back."""
