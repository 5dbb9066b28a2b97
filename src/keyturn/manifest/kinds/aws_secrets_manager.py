"""[stores.NAME] kind = "aws-secrets-manager"."""

import re
from typing import Annotated, Literal

from pydantic import Field

from keyturn.manifest.problems import Off
from keyturn.manifest.shapes import AbsolutePath, HttpsUrl, Line, PositiveDuration, Table, shape
from keyturn.manifest.store import StoreTable

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}\Z")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,128}\Z", re.ASCII)


def _region(text: str) -> str:
    if not _REGION.match(text):
        raise Off("is not a region of AWS", 'write one such as "eu-west-2"')
    return text


def _role(text: str) -> str:
    if not _ROLE.match(text):
        raise Off("is not the ARN of a role", 'write one such as "arn:aws:iam::123456789012:role/keyturn"')
    return text


Region = Annotated[str, *shape(_region)]
RoleArn = Annotated[str, *shape(_role)]


class Instance(Table):
    """The role of the machine, task or pod."""

    kind: Literal["instance"]
    """The role of the machine, task or pod."""


class Profile(Table):
    """A profile of the AWS configuration files."""

    kind: Literal["profile"]
    """A profile of the AWS configuration files."""
    name: Line
    """Its name."""


class AssumeRole(Table):
    """A role that the identity of the machine may take on."""

    kind: Literal["assume-role"]
    """A role that the machine may take on."""
    role: RoleArn
    """Its ARN."""


class WebIdentity(Table):
    """A role for a federated token."""

    kind: Literal["web-identity"]
    """A role for a federated token."""
    role: RoleArn
    """Its ARN."""
    token_file: AbsolutePath
    """File with the token."""


Identity = Annotated[Instance | Profile | AssumeRole | WebIdentity, Field(discriminator="kind")]


class Options(StoreTable):
    """One region of one account; `prefix` stands before every name, such as `clo/production/`."""

    kind: Literal["aws-secrets-manager"]
    """AWS Secrets Manager."""
    region: Region
    """The region."""
    identity: Identity
    """How Keyturn signs in."""
    prefix: Line | None = None
    """Before every name, such as `clo/production/`."""
    endpoint: HttpsUrl | None = None
    """For an endpoint of one's own."""
    kms_key: Line | None = None
    """Key that encrypts, if not the default one."""
    timeout: PositiveDuration = 10.0
    """For one request."""
