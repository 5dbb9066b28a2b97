"""Options of each kind as data, one file per kind.

Every module has one class `Options`: the table of that kind in the manifest. `core/kinds.py` says
which module reads which kind.
"""
