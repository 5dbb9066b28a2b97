"""Why a token is refused. No message holds a part of the token, but for the name of a claim.

    TokenRefused          answer 401
    ├── Malformed         it is no signed token of a form that is read here
    ├── KeyUnknown        no accepted key has that id, or it has none
    ├── SignatureWrong    the key did not sign it, or is for another algorithm
    ├── Expired
    ├── NotYetValid       before its `nbf` or `iat`
    └── ClaimWrong        a claim is missing, or is not the one that is asked for

That the keys cannot be had is no refusal: `keyturn.core.errors.Unavailable`, answer 503.
"""

from keyturn.core.errors import KeyturnError


class TokenRefused(KeyturnError):
    """This token does not count."""

    code = "token-refused"


class Malformed(TokenRefused):
    """It is no signed token of a form that is read here."""

    code = "token-malformed"


class KeyUnknown(TokenRefused):
    """No accepted key has the id that the token names, or it names none."""

    code = "token-key-unknown"


class SignatureWrong(TokenRefused):
    """The key did not sign it, or is for another algorithm than the token says."""

    code = "token-signature-wrong"


class Expired(TokenRefused):
    """Its time is over."""

    code = "token-expired"


class NotYetValid(TokenRefused):
    """Its time has not come."""

    code = "token-not-yet-valid"


class ClaimWrong(TokenRefused):
    """A claim is missing, or is not the one that is asked for."""

    code = "token-claim-wrong"
