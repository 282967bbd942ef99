"""Algorithms: each folder is one image; common/ is what they share."""
