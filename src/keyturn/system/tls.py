"""Which certificate authorities this host trusts."""

import os
import ssl
from pathlib import Path

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
)


def host_authorities() -> str | None:
    """The file with the host's authorities (PEM), None when there is none.

    Libraries that bring an OpenSSL of their own look where *it* was built, and find nothing; so
    they are told. `SSL_CERT_FILE` goes before everything, as in OpenSSL.
    """
    chosen = os.environ.get("SSL_CERT_FILE")
    candidates = (chosen,) if chosen else (ssl.get_default_verify_paths().cafile, *_BUNDLES)
    return next((path for path in candidates if path and Path(path).is_file()), None)
