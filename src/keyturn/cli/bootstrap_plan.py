"""What `bootstrap azure` makes: names, roles and scopes, checked before a line of a script is written.

Roles are Azure's own (Microsoft Learn, "Azure built-in roles"), by name and id. Who gets which, and why not
more, is docs/bootstrap-azure.md and ADR 0024.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from keyturn.core.errors import UsageError
from keyturn.core.secret import check_name
from keyturn.manifest import Manifest
from keyturn.manifest.secret import SecretTable
from keyturn.stores.azure_key_vault.names import MAX_NAME, is_name, sibling

RETENTION_DAYS = 90
"""How long a deleted entry can be brought back: the longest that Azure allows."""
LOG_DAYS = 365
"""How long the diagnostic log is kept (PCI DSS 10.5.1: twelve months)."""
MAX_IDENTITY = 128

_VAULT = re.compile(r"[a-zA-Z](?:-?[a-zA-Z0-9]){2,23}\Z")
_MAX_VAULT = 24
_GROUP = re.compile(r"[A-Za-z0-9_(](?:[A-Za-z0-9_().-]{0,88}[A-Za-z0-9_()-])?\Z")
_LOCATION = re.compile(r"[a-z][a-z0-9]{1,39}\Z")
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_WORKSPACE = re.compile(
    r"/subscriptions/[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/resourceGroups/[A-Za-z0-9_().-]{1,90}"
    r"/providers/Microsoft\.OperationalInsights/workspaces/[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]\Z",
    re.IGNORECASE,
)
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,120}\Z")
_ENTRY = re.compile(r"[0-9A-Za-z-]{1,127}\Z")
_ISSUER = re.compile(r"https://[A-Za-z0-9.-]{1,253}(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]{0,300})?\Z")
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@*-]{0,599}\Z")
_TOKEN_FILE = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+\Z")


class Who(StrEnum):
    """The three identities."""

    READ = "read"
    ROTATE = "rotate"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role of Azure: its name, and its id, which never changes."""

    name: str
    id: str


VAULT_READER = Role("Key Vault Reader", "21090545-7ca7-4776-b22c-e363652d74d2")
LOG_READER = Role("Log Analytics Reader", "73c42c96-874c-492b-b04d-ab87d138a893")
SECRETS_USER = Role("Key Vault Secrets User", "4633458b-17de-408a-b874-0445c86b69e6")
SECRETS_OFFICER = Role("Key Vault Secrets Officer", "b86a8fe4-44ce-4948-aee5-eccb2c155cd7")
CERTIFICATES_OFFICER = Role("Key Vault Certificates Officer", "a4417e6f-fecd-4de8-b567-7b0420556985")
CRYPTO_USER = Role("Key Vault Crypto User", "12338af0-0e69-4776-bea7-57ae8d297424")
CRYPTO_OFFICER = Role("Key Vault Crypto Officer", "14b46e9e-c2b7-41b4-b07b-48a6ebf60603")

READS: Mapping[str, tuple[str, Role]] = {
    "secret": ("secrets", SECRETS_USER),
    "certificate": ("secrets", SECRETS_USER),  # its private key is read as the secret of the same name
    "key": ("keys", CRYPTO_USER),
}
"""Form of an entry to the part of the vault where it is read, and the role for that."""
WRITES: Mapping[str, tuple[str, Role]] = {
    "secret": ("secrets", SECRETS_OFFICER),
    "certificate": ("certificates", CERTIFICATES_OFFICER),
    "key": ("keys", CRYPTO_OFFICER),
}
"""The same for writing."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One role assignment. `entry` is such as `secrets/database`, empty for the vault itself."""

    who: Who
    role: Role
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody whom Entra ID knows already: `User`, `Group` or `ServicePrincipal`, and the object id."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class Workload:
    """How a workload signs in without a secret: who issues its tokens, for which subjects, and where they lie."""

    issuer: str
    subjects: Mapping[Who, str]
    token_file: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the vault stands and what it is; every text has been checked.

    Args:
        subscription: id.
        tenant: id, None where it does not matter.
        group: resource group.
        location: such as `westeurope`.
        vault: name of the vault, unique in all of Azure.
        premium: keys in an HSM.
        public: whether it can be reached from the internet (behind its sign-in).
        workspace: resource id of the Log Analytics workspace that gets the log, None to make one.
    """

    subscription: str
    tenant: str | None
    group: str
    location: str
    vault: str
    premium: bool
    public: bool
    workspace: str | None

    @property
    def vault_id(self) -> str:
        """The resource id of the vault."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.KeyVault/vaults/{self.vault}"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is to be there at the end.

    Args:
        service: whose vault it is.
        environment: such as `production`.
        store: name of the store in the manifest.
        place: the vault.
        prefix: the names of the identities begin with it.
        known: identities that are there already, and are not made.
        workload: federated credentials, None for managed identities of machines.
        grants: every role assignment.
    """

    service: str
    environment: str
    store: str
    place: Place
    prefix: str
    known: Mapping[Who, Principal]
    workload: Workload | None
    grants: tuple[Grant, ...]

    def identity(self, who: Who) -> str:
        """The name of an identity that is made."""
        return f"{self.prefix}-{who}"

    def of(self, who: Who) -> tuple[Grant, ...]:
        """The role assignments of one identity."""
        return tuple(grant for grant in self.grants if grant.who is who)


def _matching(pattern: re.Pattern[str], text: str, what: str, instead: str) -> str:
    if not pattern.match(text):
        raise UsageError(f"{text!r:.120} is not {what}", instead)
    return text


def vault_name(text: str) -> str:
    """A name that a vault may have. Raises UsageError."""
    if len(text) > _MAX_VAULT:
        raise UsageError(f"{text!r:.120} is not a name for a vault", "at most 24 characters")
    return _matching(_VAULT, text, "a name for a vault", "3 to 24 letters, digits and single hyphens, a letter first")


def guid(text: str, what: str) -> str:
    """An id of Azure, in lower case. Raises UsageError."""
    return _matching(_GUID, text, what, 'an id such as "00000000-0000-0000-0000-000000000000"').lower()


def group_name(text: str) -> str:
    """A resource group. Raises UsageError."""
    return _matching(
        _GROUP, text, "a resource group", "at most 90 letters, digits and _().-, no hyphen first, no dot last"
    )


def location_name(text: str) -> str:
    """A location. Raises UsageError."""
    return _matching(_LOCATION, text, "a location", "its short name, such as westeurope")


def workspace_id(text: str) -> str:
    """A Log Analytics workspace. Raises UsageError."""
    shape = "/subscriptions/ID/resourceGroups/NAME/providers/Microsoft.OperationalInsights/workspaces/NAME"
    return _matching(_WORKSPACE, text, "the resource id of a Log Analytics workspace", shape)


def identity_prefix(text: str) -> str:
    """What the names of the identities begin with. Raises UsageError."""
    _matching(_PREFIX, text, "the beginning of an identity's name", "--identity-prefix: letters, digits, _ and -")
    if len(f"{text}-{Who.ROTATE}") > MAX_IDENTITY:
        raise UsageError(f"{text!r:.120} makes names of more than {MAX_IDENTITY} characters", "--identity-prefix NAME")
    return text


def principals(words: Iterable[str]) -> dict[Who, Principal]:
    """`read=group:OBJECT-ID` and the like. Raises UsageError."""
    types = {"user": "User", "group": "Group", "service-principal": "ServicePrincipal"}
    instead = "read=TYPE:OBJECT-ID or audit=TYPE:OBJECT-ID; TYPE is user, group or service-principal"
    found: dict[Who, Principal] = {}
    for word in words:
        who, _, rest = word.partition("=")
        kind, _, object_id = rest.partition(":")
        if who not in {Who.READ, Who.AUDIT} or kind not in types or Who(who) in found:
            raise UsageError(f"{word!r:.120} does not name one of Entra ID's own", instead)
        found[Who(who)] = Principal(types[kind], guid(object_id, "an object id"))
    return found


def workload(issuer: str | None, words: Iterable[str], token_file: str, known: Iterable[Who]) -> Workload:
    """Who issues the tokens, and for whom. Raises UsageError."""
    if issuer is None:
        raise UsageError("a workload signs in by tokens, and nobody is named who issues them", "--issuer URL")
    _matching(_ISSUER, issuer, "an issuer of tokens", "an https URL without a query")
    subjects: dict[Who, str] = {}
    for word in words:
        who, _, subject = word.partition("=")
        if who not in set(Who) - set(known) or Who(who) in subjects:
            raise UsageError(
                f"{word!r:.120} does not say whose subject it is", "--subject rotate=SUBJECT, once for each"
            )
        subjects[Who(who)] = _matching(_SUBJECT, subject, "a subject", "such as system:serviceaccount:keyturn:keyturn")
    if Who.ROTATE not in subjects:
        raise UsageError("nothing says which workload is Keyturn", "--subject rotate=SUBJECT")
    file = _matching(_TOKEN_FILE, token_file, "an absolute path of a token", "--token-file PATH")
    return Workload(issuer, subjects, file)


def own_store(manifest: Manifest | None, named: str | None) -> str:
    """The store that the vault is for: the one named, else the only Key Vault of the manifest, else `main`."""
    if named is not None:
        return check_name(named)
    kinds = {name: table.kind for name, table in manifest.stores.items()} if manifest else {}
    vaults = [name for name, kind in kinds.items() if kind == "azure-key-vault"]
    return vaults[0] if len(vaults) == 1 else "main"


def grants(manifest: Manifest | None, store: str) -> tuple[Grant, ...]:
    """Least roles for the secrets that this store keeps, or will keep if the manifest does not have it yet.

    Raises:
        UsageError: a secret's name in the store is not one that Key Vault can hold.
    """
    found = [Grant(Who.ROTATE, VAULT_READER), Grant(Who.AUDIT, VAULT_READER), Grant(Who.AUDIT, LOG_READER)]
    if manifest is not None:
        for name, secret in manifest.secrets.items():
            if store not in manifest.stores or manifest.store_of(name) == store:
                found += _of(_bundle(manifest.store_name_of(name), name), secret)
    return tuple(dict.fromkeys(found))


def _of(entry: str, secret: SecretTable) -> Iterator[Grant]:
    """The bundle and its pending sibling, then the derived copies; what Keyturn alone uses nobody else reads."""
    yield Grant(Who.ROTATE, SECRETS_OFFICER, f"secrets/{entry}")
    yield Grant(Who.ROTATE, SECRETS_OFFICER, f"secrets/{sibling(entry)}")
    forms = [("secret", entry)]
    for view, published in secret.publish.items():
        if published.store_as is not None:
            copy = _copy(published.store_name or view, view)
            forms.append((published.store_as, copy))
            part, role = WRITES[published.store_as]
            yield Grant(Who.ROTATE, role, f"{part}/{copy}")
    if secret.used_by is None:
        yield from (Grant(Who.READ, READS[form][1], f"{READS[form][0]}/{name}") for form, name in forms)


def _bundle(stored: str, name: str) -> str:
    if not is_name(stored):
        rule = f"a store_name of 1 to {MAX_NAME} letters, digits and hyphens, not ending like a pending one"
        raise UsageError(f"{name}: {stored!r:.140} cannot be the name of a secret in Key Vault", rule)
    return stored


def _copy(stored: str, name: str) -> str:
    return _matching(_ENTRY, stored, f"a name in Key Vault ({name})", "a store_name of letters, digits and hyphens")
