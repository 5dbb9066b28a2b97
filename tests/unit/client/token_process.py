"""One process of a service: it signs, and checks what the others have signed last. Run with a directory and its number.

In the directory: `token-N` is the last token of process N, `checked-N` how often it went round, `refused-N` what it
refused; it ends when there is a file `over`.
"""

import sys
import time
from itertools import count
from pathlib import Path

from keyturn.client import Secrets
from keyturn.client.adapters.jwt import KeySet, Signer, TokenRefused, Verifier

PAUSE = 0.005
"""Seconds, in which the other processes have the processor."""


def put(file: Path, text: str) -> None:
    """Write it, so that a reader finds all of it or what was there before."""
    aside = file.with_suffix(".new")
    aside.write_text(text)
    aside.rename(file)


def main(place: Path, number: str) -> None:
    """Go round until it is over."""
    secrets = Secrets.open(place / "keyturn.client.json")
    keys = KeySet(secrets, "jwt")
    signer = Signer(keys, issuer="https://clo.example", audience="clo-api", longest_life=900)
    verifier = Verifier(keys, issuer="https://clo.example", audience="clo-api", longest_life=900)
    refused = place / f"refused-{number}"
    for turn in count():
        put(place / f"token-{number}", signer.sign({"sub": number}))
        for other in place.glob("token-?"):
            try:
                verifier.verify(other.read_text())
            except TokenRefused as error:
                with refused.open("a") as log:
                    log.write(f"{error.code}\n")
        put(place / f"checked-{number}", str(turn))
        if (place / "over").exists():
            break
        time.sleep(PAUSE)
    secrets.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
