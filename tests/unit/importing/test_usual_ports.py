"""A URL and a template of which one leaves the usual port out, or both."""

import pytest

from keyturn.core.errors import UsageError
from keyturn.core.secret import SecretValue
from keyturn.importing.parting import part

BARE, NUMBERED = "smtp://{username}:{password}@mail", "smtp://{username}:{password}@mail:587"


@pytest.mark.parametrize("template", [BARE, NUMBERED])
@pytest.mark.parametrize("url", ["smtp://u:p@mail", "smtp://u:p@mail:587"])
def test_the_usual_port_may_be_left_out_on_either_side(template: str, url: str) -> None:
    """It is the same place, whoever wrote the port."""
    assert set(part(template, SecretValue(url)).parts) == {"username", "password"}


@pytest.mark.parametrize("template", [BARE, NUMBERED])
def test_another_port_is_another_place(template: str) -> None:
    """Also where the template leaves its own out."""
    with pytest.raises(UsageError, match="another place"):
        part(template, SecretValue("smtp://u:p@mail:2525"))
