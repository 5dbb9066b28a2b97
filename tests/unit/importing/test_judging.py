"""What is said of a value by itself, and of a name."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.core.secret import SecretValue
from keyturn.importing.judging import is_placeholder, is_short, length_class, looks_secret, named_secret

GUIDE = (
    "secure-username", "complex-password-32-chars+", "secure-redis-password", "256-bit-secret-key-for-jwt-signing",
    "azure-storage-account-key", "azure-service-principal-secret", "email-service-password",
    "monitoring-dashboard-password", "your-client-secret", "your-grafana-password", "your-256-bit-secret-key",
    "-----BEGIN RSA PRIVATE KEY-----...", "pass", "changeme", "<password>", "${PASSWORD}", "xxxxxxxx", "Your_Password",
)  # fmt: skip


@pytest.mark.parametrize("text", GUIDE)
def test_a_placeholder_is_known(text: str) -> None:
    """The guide's own examples, and the usual ones."""
    assert is_placeholder(SecretValue(text))


@pytest.mark.parametrize(
    "text",
    [
        "correct-horse-battery-staple",
        "my-dog-has-fleas",
        "postgres",
        "Kq3n-9fLs0_a8Dk2",
        "clo_a",
        "hunter2",
        "s3cret-k3y-9d8f",
    ],
)
def test_what_somebody_may_use_is_no_placeholder(text: str) -> None:
    """Weak or not, it is in use."""
    assert not is_placeholder(SecretValue(text))


@given(st.integers(0, 2**256 - 1).map(lambda n: n.to_bytes(32, "big")))
def test_what_was_generated_is_no_placeholder(content: bytes) -> None:
    """In hex or in base64."""
    assert not is_placeholder(SecretValue(content.hex()))
    assert not is_placeholder(SecretValue(secrets.token_urlsafe(32)))


def test_lengths_are_told_in_classes() -> None:
    """The number of characters is nowhere."""
    classes = [length_class(SecretValue("x" * length)) for length in (0, 1, 11, 12, 31, 32, 63, 64, 5000)]
    assert classes == [
        "empty",
        *["under 12 characters"] * 2,
        *["12 to 31 characters"] * 2,
        *["32 to 63 characters"] * 2,
        *["64 characters or more"] * 2,
    ]
    assert [is_short(SecretValue("x" * length)) for length in (11, 12)] == [True, False]


NAMES = {
    "POSTGRES_PASSWORD": True, "AZURE_STORAGE_KEY": True, "AZURE_KEY_VAULT_CLIENT_SECRET": True, "API_TOKEN": True,
    "STRIPE_API_KEY": True, "DJANGO_SECRET_KEY": True, "SIGNING_SALT": True, "SLACK_WEBHOOK": True,
    "AZURE_KEY_VAULT_URL": False, "JWT_PUBLIC_KEY": False, "AWS_ACCESS_KEY_ID": False, "TOKEN_TTL": False,
    "PASSWORD_LENGTH": False, "SSH_KEY_PATH": False, "DEBUG": False, "MONKEY": False, "KEYBOARD": False,
    "PRODUCTION_DOMAIN": False,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_says_whether_it_is_a_secret(name: str) -> None:
    """Whole words count, and what is said about a key is none."""
    assert named_secret(name) is NAMES[name]


def test_a_value_says_so_where_the_name_does_not() -> None:
    """A private key, and a URL with a password; an empty one is nothing to look after."""
    assert looks_secret("BROKER", SecretValue("amqp://u:p@h"), private_key=False)
    assert looks_secret("broker.pem", SecretValue("x"), private_key=True)
    assert looks_secret("api-token", SecretValue("x"), private_key=False)
    assert not looks_secret("API_TOKEN", SecretValue(""), private_key=False)
    assert not looks_secret("BROKER", SecretValue("amqp://h"), private_key=False)
