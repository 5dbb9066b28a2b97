"""What Keyturn writes beside a value in Azure Key Vault: the store writes it, applications check it (ADR 0021)."""

import hmac
import re

from keyturn.core.secret import Bundle

OP, FOR, SEQ, MARK, VIEW, ENV = "kt-op", "kt-for", "kt-seq", "kt-mark", "kt-view", "kt-env"
"""Names of our tags: the attempt, the name it belongs to, its place in the order, what its content must answer to.

`kt-view` is on derived copies only: the published name. `kt-env` says to which service and environment a copy belongs.
"""
ATTEMPT_FORM = re.compile(r"[!-~]{1,200}\Z")
MARK_FORM = re.compile(r"[0-9a-f]{64}\Z")
_MARKED = b"keyturn/key-vault-mark/v1\0"


def mark_of(bundle: Bundle) -> str:
    """What a tag says of the content: HMAC-SHA256 over it under its own proof key, 64 hex digits.

    Who may read tags learns nothing from it, since the key is 32 random bytes inside the content; who holds the
    content can tell whether it is the one that was meant, also when the version is disabled and cannot be read.
    """
    mac = hmac.new(bundle.proof_key.reveal().encode(), _MARKED, "sha256")
    mac.update(bundle.reveal())
    return mac.hexdigest()
