"""Dated observations as documents an auditor accepts."""
