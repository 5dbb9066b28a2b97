"""Operators, approvals, reviews."""
