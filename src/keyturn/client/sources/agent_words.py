"""A generation as the agent sends it, made into views."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keyturn.client.sources import Generation, undelivered
from keyturn.client.view import View
from keyturn.core import strict_json
from keyturn.core.errors import UsageError
from keyturn.core.generation import version
from keyturn.core.secret import NAME, Bundle, SecretValue

_SHAPE: Mapping[str, type] = {"version": str, "fields": dict, "proof_key": str, "published": dict}
_LONE = re.compile("[\ud800-\udfff]")
_PROOF_KEY = re.compile(r"[0-9a-f]{64}\Z")


def generation_of(content: Mapping[str, Any], secrets: tuple[str, ...], path: Path) -> Generation:
    """Those secrets of the generation in that message.

    Raises:
        NotFound: one of them is not in it.
        ValueError: it is no generation; the message holds nothing of it.
    """
    views = {}
    for secret in secrets:
        if secret not in content["secrets"]:
            raise undelivered(str(path), secret, _published(content["secrets"]), "this consumer")
        views[secret] = _view(secret, strict_json.exactly(content["secrets"][secret], _SHAPE))
    return Generation(content["environment"], views)


def _published(secrets: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The names that each of them publishes. Raises ValueError: they are no secrets."""
    return {name: strict_json.exactly(one, _SHAPE)["published"] for name, one in secrets.items()}


def _view(secret: str, content: Mapping[str, Any]) -> View:
    fields, published = _texts(content["fields"]), _texts(content["published"])
    if not _PROOF_KEY.match(content["proof_key"]):
        raise ValueError(f"{secret} has no proof key")
    if not all(NAME.match(name) for name in published):
        raise ValueError(f"{secret} has a published name that is none")
    try:
        bundle = Bundle(fields, content["proof_key"])
    except UsageError as error:
        raise ValueError(f"{secret}: {error.message}") from None
    views = {name: SecretValue(text) for name, text in published.items()}
    return View(secret, version(content["version"]), bundle, views)


def _texts(content: Mapping[str, Any]) -> dict[str, str]:
    if not all(isinstance(text, str) and _LONE.search(text) is None for text in content.values()):
        raise ValueError("a value is no text")
    return dict(content)
