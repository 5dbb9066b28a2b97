"""Doubles that really refuse, contract suites, the crash harness."""
