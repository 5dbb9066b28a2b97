"""Which plain files may go: only those of which nothing would be lost."""

from pathlib import Path

import pytest

from keyturn.importing.leaving import plain_files
from keyturn.importing.plan import Row, What

ENV, KEY = Path("/a/.env"), Path("/a/it's a key")


def test_a_file_may_go_when_all_of_it_is_in_a_store() -> None:
    """With the command for a person, quoted."""
    (file,) = plain_files([Row(KEY, None, "key", "taken", ("smtp.password",))], {"smtp"})
    assert (file.may_go, file.why) == (True, "")
    assert file.command == """shred -u -- '/a/it'"'"'s a key'"""


@pytest.mark.parametrize("what", ["setting", "open", "ignored", "refused"])
def test_a_file_with_anything_else_stays(what: What) -> None:
    """Its other lines may go, and it says what keeps it."""
    rows = [Row(ENV, 3, "A", "taken", ("smtp.password",)), Row(ENV, 4, "B", what), Row(ENV, 5, "C", what)]
    (file,) = plain_files(rows, {"smtp"})
    assert (file.may_go, file.lines, file.command) == (False, (3,), "")
    assert "(B)" in file.why
    assert file.why.endswith("and 1 more")


def test_what_did_not_reach_its_store_stays() -> None:
    """A URL whose fields are of a secret that was not written."""
    (file,) = plain_files([Row(KEY, None, "key", "taken", ("smtp.password",))], {"database"})
    assert not file.may_go
    assert file.lines == ()


def test_a_file_that_names_another_one_stays() -> None:
    """The program still reads that name."""
    (file,) = plain_files([Row(ENV, 1, "A", "taken", ("smtp.password",))], {"smtp"}, {ENV})
    assert not file.may_go
    assert file.lines == (1,)
