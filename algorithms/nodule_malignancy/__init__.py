"""Malignancy of lung nodules from their outlines: two dimensions against three."""
