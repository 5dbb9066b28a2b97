"""Published names: views of a bundle, composed and percent-encoded here, never typed in."""

import re
from collections.abc import Mapping
from functools import partial
from urllib.parse import quote

from keyturn.core.errors import UsageError
from keyturn.core.secret import Bundle, SecretValue

_HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def holes(template: str) -> tuple[str, ...]:
    """The field names between braces, in order.

    Raises:
        UsageError: a brace that does not belong to a field name.
    """
    if "{" in _HOLE.sub("", template) or "}" in _HOLE.sub("", template):
        raise UsageError(f"the template {template!r:.80} has a brace without a field name", "write {field}")
    return tuple(_HOLE.findall(template))


def compose(template: str, bundle: Bundle, coordinates: Mapping[str, str]) -> SecretValue:
    """The view. In a URL template every part is percent-encoded (RFC 3986), else taken as it is.

    Raises:
        UsageError: the template names a part that neither the bundle nor the target has.
    """
    url = "://" in template
    encode = partial(quote, safe="") if url else str

    def part(match: re.Match[str]) -> str:
        name = match[1]
        if name in bundle:
            return encode(bundle[name].reveal())
        if name in coordinates:
            return quote(coordinates[name], safe="[]:") if url else coordinates[name]
        raise UsageError(f"the template names {{{name}}}, which neither the secret nor its target has")

    holes(template)
    return SecretValue(_HOLE.sub(part, template))
