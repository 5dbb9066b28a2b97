"""A pytest plugin: how long each folder of tests took, fixtures included."""

from collections import Counter

import pytest


class FolderTimes:
    """Seconds and tests by the folder under tests/."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()
        self._tests: dict[str, set[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of one test."""
        folder = "/".join(report.nodeid.split("/")[:2])
        self._seconds[folder] += report.duration  # type: ignore[assignment] # a Counter adds floats as well
        self._tests.setdefault(folder, set()).add(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        terminalreporter.section("time per folder")
        for folder, tests in self._tests.items():
            terminalreporter.write_line(f"{self._seconds[folder]:8.1f} s  {len(tests):5d} tests  {folder}")


def pytest_configure(config: pytest.Config) -> None:
    """Hook: switch it on."""
    config.pluginmanager.register(FolderTimes(), "folder-times")
