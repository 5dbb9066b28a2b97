"""Keyturn's own state in one file, and back (docs/backup.md).

A backup holds journal, vaults, anchors and manifest as they were at one moment. Nothing in it can be
read without a key of the vaults, and no such key is in it.
"""
