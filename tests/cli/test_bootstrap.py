"""`bootstrap azure` without Azure: what it takes, what it writes, and that it runs nothing unasked."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from keyturn.manifest import load
from tests.azure_subscription import MANIFEST, PLACE, SUBSCRIPTION, VAULT_ID
from tests.cli.conftest import Keyturn

OTHER = "99999999-8888-7777-6666-555555555555"
COPIES = """
[secrets.site]
kind = "manual"
fields = ["certificate", "private_key"]
owner = "platform@example.com"
purpose = "the web server shows it"
consumers = ["api"]
publish.site-certificate = { template = "{certificate}{private_key}", store_as = "certificate" }

[secrets.signing]
kind = "manual"
fields = ["private_key"]
owner = "platform@example.com"
purpose = "signs"
consumers = ["api"]
publish.signing-key = { field = "private_key", store_as = "key", store_name = "Signing-RSA" }
"""
TWO_STORES = """
[stores.other]
kind = "local"
vault_id = "00000000-0000-4000-8000-000000000000"

[secrets.elsewhere]
kind = "manual"
fields = ["value"]
owner = "platform@example.com"
purpose = "kept elsewhere"
used_by = "keyturn"
store = "other"
"""


def declared(keyturn: Keyturn, more: str = "", change: tuple[str, str] = ("", "")) -> Keyturn:
    """The command with the manifest of those who work with a vault."""
    keyturn.manifest = keyturn.folder / "keyturn.toml"
    keyturn.manifest.write_text(MANIFEST.format(folder=keyturn.folder / "state").replace(*change) + more)
    load(keyturn.manifest, None)
    return keyturn


def with_option(name: str, value: str) -> list[str]:
    """The words of a call where one option says something else."""
    words = list(PLACE)
    words[words.index(name) + 1] = value
    return words


HOSTILE = ["", "-x", "x;reboot", "$(reboot)", "`reboot`", "a'b", 'a"b', "a b", "a\nb", "a\\b", "a${b}", "x" * 200]


@pytest.mark.parametrize("name", ["--vault-name", "--resource-group", "--location", "--subscription"])
@pytest.mark.parametrize("value", HOSTILE)
def test_a_place_that_azure_cannot_have_is_refused(keyturn: Keyturn, name: str, value: str) -> None:
    """What is no name of Azure's never gets as far as a script."""
    said = keyturn("bootstrap", "azure", *with_option(name, value), "--service", "clo")
    assert said.status == 2
    assert said.out == ""


@pytest.mark.parametrize("value", ["ab", "1vault", "vault-", "va--ult", "v" * 25, "vau_lt"])
def test_a_name_that_no_vault_can_have_is_refused(keyturn: Keyturn, value: str) -> None:
    """3 to 24 letters, digits and single hyphens, a letter first, no hyphen last."""
    assert keyturn("bootstrap", "azure", *with_option("--vault-name", value), "--service", "clo").status == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--tenant", "contoso"],
        ["--log-workspace", "my-logs"],
        ["--log-workspace", f"/subscriptions/{OTHER}/resourceGroups/x/providers/Microsoft.KeyVault/vaults/clo"],
        ["--identity-prefix", "a;b"],
        ["--identity-prefix", "a" * 122],
        ["--principal", f"rotate=user:{OTHER}"],
        ["--principal", f"read=robot:{OTHER}"],
        ["--principal", "read=user:me@example.com"],
        ["--principal", f"read=user:{OTHER}", "--principal", f"read=group:{OTHER}"],
        ["--issuer", "https://oidc.example.com/"],
        ["--subject", "rotate=x"],
        ["--identity", "workload"],
        ["--identity", "workload", "--issuer", "http://oidc.example.com/", "--subject", "rotate=x"],
        ["--identity", "workload", "--issuer", "https://oidc.example.com/?a=$(x)", "--subject", "rotate=x"],
        ["--identity", "workload", "--issuer", "https://oidc.example.com/"],
        ["--identity", "workload", "--issuer", "https://oidc.example.com/", "--subject", "read=x"],
        ["--identity", "workload", "--issuer", "https://oidc.example.com/", "--subject", "rotate=$(x)"],
        ["--identity", "workload", "--issuer", "https://oidc.example.com/", "--subject", "root=x"],
        [
            *("--identity", "workload", "--issuer", "https://oidc.example.com/", "--subject", "rotate=x"),
            *("--token-file", "token"),
        ],
        ["--store", "Main"],
        ["--environment", "a b"],
        ["--format", "bicep", "--apply"],
    ],
)
def test_options_that_do_not_fit_are_refused(keyturn: Keyturn, words: list[str]) -> None:
    """Each is answered by exit 2 and a line that says what it should be, before anything is written."""
    said = keyturn("bootstrap", "azure", *PLACE, "--service", "clo", *words)
    assert said.status == 2
    assert said.out == ""
    assert "now:" in said.err


def test_without_a_manifest_it_asks_whose_vault_it_is(keyturn: Keyturn) -> None:
    """The service comes from the manifest or from --service, never from both, and a named manifest has to be there."""
    assert keyturn("bootstrap", "azure", *PLACE).status == 2
    said = keyturn("bootstrap", "azure", *PLACE, "--service", "clo")
    assert said.status == 0
    assert "no secret is declared" in said.err
    assert declared(keyturn)("bootstrap", "azure", *PLACE, "--service", "clo").status == 2
    keyturn.manifest = keyturn.folder / "missing.toml"
    assert keyturn("bootstrap", "azure", *PLACE, "--service", "clo").status == 2


def granted(keyturn: Keyturn, *words: str) -> set[tuple[str, str, str]]:
    """Who gets which role where, below the vault."""
    rows = keyturn.document("bootstrap", "azure", *PLACE, *words)["data"]["roles"]
    return {(row["identity"], row["role"], row["scope"].removeprefix(VAULT_ID)) for row in rows}


def test_derived_copies_get_the_roles_of_their_form(keyturn: Keyturn) -> None:
    """A certificate is written as one and read as the secret of its name; a key is used, never read."""
    found = granted(declared(keyturn, COPIES))
    assert ("rotate", "Key Vault Certificates Officer", "/certificates/site-certificate") in found
    assert ("read", "Key Vault Secrets User", "/secrets/site-certificate") in found
    assert ("rotate", "Key Vault Crypto Officer", "/keys/Signing-RSA") in found
    assert ("read", "Key Vault Crypto User", "/keys/Signing-RSA") in found


def test_nobody_but_keyturn_reads_what_only_keyturn_uses(keyturn: Keyturn) -> None:
    """The identity to read has no role on Keyturn's own secrets, none on pending ones, and none on the vault."""
    found = {scope for who, _, scope in granted(declared(keyturn)) if who == "read"}
    assert found == {"/secrets/SMTP-login", "/secrets/smtp-password"}


def test_only_secrets_of_this_store_count(keyturn: Keyturn) -> None:
    """What another store keeps gets no role here; a store that is not declared yet will get all."""
    main = ('[secrets.postgres-admin]\nkind = "manual"', '[secrets.postgres-admin]\nkind = "manual"\nstore = "main"')
    text = MANIFEST.replace(*main).replace('store_name = "SMTP-login"', 'store_name = "SMTP-login"\nstore = "main"')
    keyturn.manifest = keyturn.folder / "keyturn.toml"
    keyturn.manifest.write_text(text.format(folder=keyturn.folder / "state") + TWO_STORES)
    entries = {scope for _, _, scope in granted(keyturn)}
    assert "/secrets/postgres-admin" in entries
    assert "/secrets/elsewhere" not in entries
    assert "/secrets/elsewhere" in {scope for _, _, scope in granted(keyturn, "--store", "vault")}


@pytest.mark.parametrize("name", ["a_b", "x" * 116, "a$(b)", "old--kt-pending"])
def test_an_entry_that_key_vault_cannot_have_is_refused(keyturn: Keyturn, name: str) -> None:
    """A name that does not fit, with its pending sibling, is the manifest's to mend."""
    said = declared(keyturn, change=("SMTP-login", name))("bootstrap", "azure", *PLACE)
    assert said.status == 2
    assert "mail" in said.err


def test_without_apply_nothing_is_run(keyturn: Keyturn) -> None:
    """Where `az` would leave a trace, there is none after the script was written."""
    program = keyturn.folder / "az"
    program.write_text("#!/bin/sh\ntouch ran\n")
    program.chmod(0o700)
    said = declared(keyturn)("bootstrap", "azure", *PLACE, PATH=f"{keyturn.folder}:/usr/bin:/bin")
    assert said.status == 0
    assert "nothing was run" in said.err
    assert not (keyturn.folder / "ran").exists()


def test_the_script_is_one_that_bash_can_read(keyturn: Keyturn) -> None:
    """Every form of it parses, and is the same when it is asked for again."""
    workload = ("--identity", "workload", "--issuer", "https://oidc.example.com/", "--subject", "rotate=x:y")
    for more in ((), ("--premium", "--private"), workload, ("--principal", f"audit=group:{OTHER}")):
        said = declared(keyturn, COPIES)("bootstrap", "azure", *PLACE, *more)
        subprocess.run(["bash", "-n"], input=said.out.encode(), check=True)
        assert keyturn("bootstrap", "azure", *PLACE, *more).out == said.out


def test_it_is_written_where_only_its_owner_reads(keyturn: Keyturn) -> None:
    """FILE has mode 0600 and the very script; one that is there is replaced with --force only."""
    declared(keyturn)
    assert keyturn("bootstrap", "azure", *PLACE, "--output", "vault.sh").status == 0
    path = keyturn.folder / "vault.sh"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text() == keyturn("bootstrap", "azure", *PLACE).out
    assert keyturn("bootstrap", "azure", *PLACE, "--premium", "--output", "vault.sh").status == 5
    assert keyturn("bootstrap", "azure", *PLACE, "--premium", "--output", "vault.sh", "--force").status == 0
    assert "premium" in path.read_text()


def test_what_the_environment_holds_for_bash_is_not_run(keyturn: Keyturn) -> None:
    """--apply runs the bytes that it shows: no file of BASH_ENV before them, no function in the place of a program."""
    nothing = keyturn.folder / "nothing"
    nothing.mkdir()
    Path(nothing, "bash").symlink_to("/bin/bash")
    (keyturn.folder / "before").write_text("echo x >ran\n")
    declared(keyturn)
    function = "() { echo x >ran; }"
    hidden: dict[str, Any] = {"BASH_ENV": "before", "BASH_FUNC_set%%": function, "BASH_FUNC_az%%": function}
    said = keyturn("bootstrap", "azure", *PLACE, "--apply", "--yes", PATH=str(nothing), **hidden)
    assert "az is not installed" in said.err
    assert not (keyturn.folder / "ran").exists()


@pytest.mark.parametrize("version", ["", "3.2.57(1)-release"])
def test_an_older_bash_is_told_before_anything_is_asked(keyturn: Keyturn, version: str) -> None:
    """A shell that would stop at its first word of bash 4, in the middle of the work, does not begin."""
    text = declared(keyturn)("bootstrap", "azure", *PLACE).out
    environment = {"PATH": "/nowhere", **({"BASH_VERSION": version} if version else {})}
    done = subprocess.run(["/bin/dash"], input=text.encode(), env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"keyturn: it needs bash 4 or later: bash FILE\n"


def test_apply_without_bash_or_az_says_so(keyturn: Keyturn) -> None:
    """What is missing is named, and nothing was done."""
    nothing = keyturn.folder / "nothing"
    nothing.mkdir()
    declared(keyturn)
    said = keyturn("bootstrap", "azure", *PLACE, "--apply", "--yes", PATH=str(nothing))
    assert said.status == 3
    assert "bash could not be started" in said.err
    Path(nothing, "bash").symlink_to("/bin/bash")
    said = keyturn("bootstrap", "azure", *PLACE, "--apply", "--yes", PATH=str(nothing))
    assert said.status == 3
    assert "az is not installed" in said.err


def bicep(keyturn: Keyturn, *more: str) -> str:
    """The file of Bicep."""
    said = declared(keyturn, COPIES)("bootstrap", "azure", *PLACE, "--format", "bicep", *more)
    assert said.status == 0, said
    return said.out


def resources(text: str) -> dict[str, tuple[str, str]]:
    """Symbol to type and body of every resource of a file of Bicep."""
    found = {}
    for block in text.split("\nresource ")[1:]:
        head, _, body = block.partition("{\n")
        symbol, kind, *_ = head.split(" ")
        assert symbol not in found
        found[symbol] = (kind.strip("'").partition("@")[0], body.partition("\n}\n")[0])
    return found


def test_bicep_assigns_the_same_roles_as_the_script(keyturn: Keyturn) -> None:
    """Each grant of the script is one role assignment, at the scope of an entry that is named there."""
    made = resources(bicep(keyturn))
    wanted = granted(keyturn)
    roles = [body for kind, body in made.values() if kind == "Microsoft.Authorization/roleAssignments"]
    assert len(roles) == len(wanted)
    for body in roles:
        scope = body.partition("scope: ")[2].partition("\n")[0]
        assert scope in made
    entries = {
        f"/{kind.rpartition('/')[2]}/{body.partition(chr(39))[2].partition(chr(39))[0]}"
        for kind, body in made.values()
        if kind.startswith("Microsoft.KeyVault/vaults/")
    }
    assert entries == {scope for _, _, scope in wanted} - {""}


def test_bicep_is_closed_and_refers_to_what_it_declares(keyturn: Keyturn) -> None:
    """Every bracket and quote has its end, each resource is used by the name that it was given, once."""
    workload = ("--identity", "workload", "--issuer", "https://oidc.example.com/", "--subject", "rotate=x:y")
    for more in ((), ("--principal", f"audit=group:{OTHER}", "--premium", "--private"), workload):
        text = bicep(keyturn, *more)
        code = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
        assert all(line.replace("\\'", "").count("'") % 2 == 0 for line in code)
        for opening, closing in ("{}", "[]", "()"):
            assert sum(line.count(opening) for line in code) == sum(line.count(closing) for line in code)
        made = resources(text)
        assert {"vault", "log", "read", "rotate"} <= set(made)
        assert ("audit" in made) == (f"'{OTHER}'" not in text)
        assert "[stores.main]" in text


def test_bicep_makes_the_vault_as_the_script_does(keyturn: Keyturn) -> None:
    """Roles instead of policies, purge protection, the log, the SKU and the network; and no value anywhere."""
    text = bicep(keyturn, "--premium", "--private", "--tenant", OTHER)
    body = resources(text)["vault"][1]
    for line in (
        "enableRbacAuthorization: true",
        "enablePurgeProtection: true",
        "softDeleteRetentionInDays: 90",
        "publicNetworkAccess: 'Disabled'",
        "name: 'premium'",
        f"tenantId: '{OTHER}'",
    ):
        assert line in body
    assert "category: 'AuditEvent'" in resources(text)["log"][1]
    assert SUBSCRIPTION in text
    assert "accessPolicies" not in text
