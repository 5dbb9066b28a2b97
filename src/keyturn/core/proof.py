"""How an instance shows that it holds a version without showing the version.

The answer is HMAC-SHA256 (RFC 2104) under the version's proof key over the words below, each with
its length before it, so that no two lists of words give the same bytes.
"""

import hmac
from dataclasses import astuple, dataclass

from keyturn.core.secret import SecretValue

LABEL = "keyturn/ack/v1"
LOADED, IN_USE, DRAINED = "loaded", "in-use", "drained"
SUCCEEDED, FAILED = "succeeded", "failed"


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What an instance says of itself. `state` is one of those above, `nonce` Keyturn's question."""

    environment: str
    secret: str
    version: str
    instance: str
    nonce: str
    state: str

    def proof(self, proof_key: SecretValue) -> str:
        """The answer, as hex."""
        words = (LABEL, *astuple(self))
        message = b"".join(len(word.encode()).to_bytes(4, "big") + word.encode() for word in words)
        return hmac.digest(bytes.fromhex(proof_key.reveal()), message, "sha256").hex()

    def proven(self, proof: str, proof_key: SecretValue) -> bool:
        """Whether `proof` is the right answer; takes the same time for every wrong one."""
        return hmac.compare_digest(proof.encode(), self.proof(proof_key).encode())
