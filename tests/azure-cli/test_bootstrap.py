"""The script of `bootstrap azure`, executed: azure-cli parses every call, and what was asked for is written down."""

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyturn.manifest import load
from keyturn.manifest.kinds.azure_identity import Managed, Workload
from keyturn.manifest.kinds.azure_key_vault import Options
from keyturn.manifest.store import StoreTable
from scripts import azure_cli
from tests.azure_subscription import MANIFEST, PLACE, SUBSCRIPTION, TENANT, VAULT_ID, Azure
from tests.cli.conftest import Keyturn, Said, check

HERE = Path(__file__).parent

OFFICER, USER, READER = "Key Vault Secrets Officer", "Key Vault Secrets User", "Key Vault Reader"
LEAST = {
    ("rotate", READER, ""),
    ("audit", READER, ""),
    ("audit", "Log Analytics Reader", ""),
    ("rotate", OFFICER, "/secrets/postgres-admin"),
    ("rotate", OFFICER, "/secrets/postgres-admin--kt-pending"),
    ("rotate", OFFICER, "/secrets/SMTP-login"),
    ("rotate", OFFICER, "/secrets/SMTP-login--kt-pending"),
    ("rotate", OFFICER, "/secrets/smtp-password"),
    ("read", USER, "/secrets/SMTP-login"),
    ("read", USER, "/secrets/smtp-password"),
}
GUIDS = "99999999-8888-7777-6666-555555555555"
PRODUCES_NOTHING = re.compile(r" (create|update)$")


@pytest.fixture(scope="session")
def az(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which `az` is the recording one."""
    folder = tmp_path_factory.mktemp("az")
    program = folder / "az"
    program.write_text(f"#!{sys.executable} -IS\n{(HERE / 'az_client.py').read_text()}")
    program.chmod(0o700)
    python = azure_cli.program()
    assert python is not None
    process = subprocess.Popen(
        [python, HERE / "recording_az.py", folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            plain = {name: value for name, value in os.environ.items() if not name.startswith("KEYTURN_")}
            yield {**plain, "PATH": f"{folder}:{os.environ['PATH']}", "RECORDING_AZ": str(folder / "az.sock")}
        finally:
            process.terminate()
    shutil.rmtree(folder)


@pytest.fixture
def azure(az: dict[str, str], tmp_path: Path) -> Azure:
    """A subscription with nothing in it."""
    return Azure.empty(tmp_path, az)


@pytest.fixture
def keyturn(tmp_path: Path) -> Keyturn:
    """The command in a folder with a manifest."""
    manifest = tmp_path / "keyturn.toml"
    manifest.write_text(MANIFEST.format(folder=tmp_path / "state"))
    return Keyturn(tmp_path, manifest)


def words(call: list[str]) -> str:
    """The command of a call."""
    return " ".join(call[: next(at for at, word in enumerate(call) if word.startswith("-"))])


def option(call: list[str], name: str) -> str:
    """What an option of a call says."""
    return call[call.index(name) + 1]


def written(keyturn: Keyturn, *more: str) -> str:
    """The script, as the command prints it."""
    said = keyturn("bootstrap", "azure", *PLACE, *more)
    assert said.status == 0, said
    return said.out


def applied(keyturn: Keyturn, azure: Azure, *more: str) -> Said:
    """The command with --apply, on that subscription."""
    environment: dict[str, Any] = dict(azure.environment)
    return keyturn("bootstrap", "azure", *PLACE, "--apply", *more, **environment)


def table(text: str, folder: Path) -> StoreTable:
    """The store that the script ended with, read as a part of a manifest."""
    path = folder / "from-script.toml"
    before, _, rest = MANIFEST.format(folder=folder).partition("[stores.main]")
    path.write_text(f"{before}{text}\n[secrets{rest.partition('[secrets')[2]}")
    return load(path, None).stores["main"]


@pytest.fixture(scope="module")
def done(az: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Said, Azure, Path]:
    """A subscription after a first run."""
    folder = tmp_path_factory.mktemp("done")
    manifest = folder / "keyturn.toml"
    manifest.write_text(MANIFEST.format(folder=folder / "state"))
    azure = Azure.empty(folder, az)
    return azure.run(written(Keyturn(folder, manifest)), folder), azure, folder


def test_a_first_run_makes_vault_log_identities_and_least_roles(done: tuple[Said, Azure, Path]) -> None:
    """Every role that is there is one of the least, of an entry or to read names; nobody is Contributor."""
    said, azure, _ = done
    assert said.status == 0, said
    state = azure.state
    assert azure.roles() == LEAST
    assert all(row["scope"].startswith(VAULT_ID) for row in state["roles"])
    assert {row["principalType"] for row in state["roles"]} == {"ServicePrincipal"}
    [vault] = state["vaults"]
    assert vault["id"] == VAULT_ID
    assert vault["properties"] == {
        "vaultUri": "https://clo-system-vault.vault.azure.net/",
        "enableRbacAuthorization": True,
        "enablePurgeProtection": True,
        "sku": {"name": "standard"},
        "publicNetworkAccess": "Enabled",
        "softDeleteRetentionInDays": 90,
    }
    [log] = state["logs"]
    assert log["resource"] == VAULT_ID
    assert log["workspaceId"] == state["workspaces"][0]["id"]
    assert log["logs"] == [{"category": "AuditEvent", "enabled": True}]
    assert not state["failed"]


def test_every_call_is_of_this_subscription_and_none_prints_what_it_made(done: tuple[Said, Azure, Path]) -> None:
    """What creates or changes has --output none; no call reads, sets or names a value, a policy or a password."""
    calls = done[1].state["calls"]
    assert {option(call, "--subscription") for call in calls} == {SUBSCRIPTION}
    made = [call for call in calls if PRODUCES_NOTHING.search(words(call))]
    assert len(made) == len(LEAST) + 8
    assert {option(call, "--output") for call in made} == {"none"}
    spoken = " ".join(word for call in calls for word in call).lower()
    assert not re.search(
        r"contributor|owner|--value|polic|--password|create-for-rbac|secret (set|show|download)", spoken
    )


def test_the_log_is_on_before_anybody_gets_a_right(done: tuple[Said, Azure, Path]) -> None:
    """No role is assigned before the diagnostic setting was made."""
    order = [words(call) for call in done[1].state["calls"]]
    assert order.index("monitor diagnostic-settings create") < order.index("role assignment create")


def test_it_ends_with_a_table_that_the_manifest_takes(done: tuple[Said, Azure, Path]) -> None:
    """What it prints is a store of the manifest, whose identity is the one to rotate."""
    said, azure, folder = done
    store = table(said.out, folder)
    rotate = next(row for row in azure.state["identities"] if row["name"] == "clo-production-rotate")
    assert isinstance(store, Options)
    assert store.url == "https://clo-system-vault.vault.azure.net/"
    assert store.identity == Managed(kind="managed", client_id=rotate["clientId"])


def test_a_second_run_changes_nothing(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """It looks, finds all there, makes nothing, and ends with the same table."""
    script = written(keyturn)
    first = azure.run(script, tmp_path)
    azure.calls()
    second = azure.run(script, tmp_path)
    assert (second.status, second.out) == (0, first.out)
    assert "warning" not in second.err
    assert {words(call).rpartition(" ")[2] for call in azure.calls()} == {"show", "exists", "list"}


def test_apply_runs_the_bytes_that_it_shows(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """The script on stderr is the one of a run without --apply; each step is told, and the table is the answer."""
    script = written(keyturn)
    said = applied(keyturn, azure, "--yes")
    assert said.status == 0, said
    assert said.err.startswith(script)
    steps = re.findall(r"keyturn: \[(\d+)/(\d+)\]", said.err)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert {int(count) for _, count in steps} == {len(steps)}
    assert azure.roles() == LEAST
    made = table(said.out, tmp_path)
    assert isinstance(made, Options)
    assert made.resource_id == VAULT_ID
    assert made.tenant


def test_apply_answers_in_json(keyturn: Keyturn, azure: Azure) -> None:
    """The envelope has the script that ran, the roles that were asked for and the table."""
    said = applied(keyturn, azure, "--yes", "--json")
    data: dict[str, Any] = check(said.document)["data"]
    assert data["applied"]
    assert data["store"].startswith("[stores.main]\n")
    assert {(row["identity"], row["role"], row["scope"].removeprefix(VAULT_ID)) for row in data["roles"]} == LEAST


def test_apply_asks_for_the_name_of_the_service(keyturn: Keyturn, azure: Azure) -> None:
    """On a terminal the service's name is typed; another word runs nothing; without a terminal --yes is named."""
    assert applied(keyturn, azure).status == 2
    assert azure.calls() == []
    assert typed(keyturn, azure, "elsewhere\n") == 2
    assert azure.calls() == []
    assert typed(keyturn, azure, "clo\n") == 0
    assert azure.roles() == LEAST


def typed(keyturn: Keyturn, azure: Azure, line: str) -> int:
    """The exit status of --apply on a terminal where somebody types that line."""
    ours, theirs = pty.openpty()
    os.write(ours, line.encode())
    with subprocess.Popen(
        keyturn.command("bootstrap", "azure", *PLACE, "--apply"),
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=keyturn.folder,
        env=keyturn.environment(**azure.environment),
    ) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
            while os.read(ours, 4096):
                pass
    os.close(ours)
    return process.returncode


def test_a_step_that_fails_stops_it_and_the_next_run_goes_on(keyturn: Keyturn, azure: Azure) -> None:
    """Nothing after the step is done, az's own words are shown, and what was done is not done again."""
    azure.change(fails="monitor diagnostic-settings create")
    said = applied(keyturn, azure, "--yes")
    assert said.status == 3
    assert "AuthorizationFailed" in said.err
    assert "stopped in step 5 of 12 (diagnostic log)" in said.err
    assert "the same command again" in said.err
    assert len(azure.state["failed"]) == 1
    assert azure.state["identities"] == []
    azure.calls()
    azure.change(fails="")
    assert applied(keyturn, azure, "--yes").status == 0
    assert azure.roles() == LEAST
    assert "keyvault create" not in {words(call) for call in azure.calls()}


def test_a_look_that_fails_is_not_taken_for_nothing_there(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """Where it cannot look whether the vault is there, none is made."""
    azure.change(fails="keyvault list")
    assert azure.run(written(keyturn), tmp_path).status != 0
    assert azure.state["vaults"] == []


def test_somebody_signed_in_elsewhere_changes_nothing(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """With --tenant the first step refuses another one."""
    said = azure.run(written(keyturn, "--tenant", GUIDS), tmp_path)
    assert said.status == 1
    assert f"signed in at tenant {TENANT}" in said.err
    assert [words(call) for call in azure.calls()] == ["account show"]
    assert azure.run(written(keyturn, "--tenant", TENANT.upper()), tmp_path).status == 0


def standing(azure: Azure, script: str, folder: Path, **properties: Any) -> None:
    """A vault that is there already, with other properties, and nothing else."""
    azure.run(script, folder)
    [vault] = azure.state["vaults"]
    vault["properties"] |= properties
    azure.change(vaults=[vault], roles=[], identities=[], calls=[])


def test_a_vault_with_access_policies_is_not_switched_over(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """Its readers would be shut out at once: it stops and says what to do first."""
    script = written(keyturn)
    standing(azure, script, tmp_path, enableRbacAuthorization=False)
    said = azure.run(script, tmp_path)
    assert said.status == 1
    assert "give its readers roles" in said.err
    assert azure.state["roles"] == []


def test_a_vault_that_is_there_gets_purge_protection_and_keeps_the_rest(
    keyturn: Keyturn, azure: Azure, tmp_path: Path
) -> None:
    """What cannot be changed, or would shut somebody out, is named and left as it is."""
    script = written(keyturn, "--premium", "--private")
    other = {"sku": {"name": "standard"}, "publicNetworkAccess": "Enabled", "softDeleteRetentionInDays": 7}
    standing(azure, script, tmp_path, enablePurgeProtection=None, **other)
    said = azure.run(script, tmp_path)
    assert said.status == 0, said
    assert said.err.count("warning: ") == 3
    properties = azure.state["vaults"][0]["properties"]
    assert properties["enablePurgeProtection"] is True
    assert {name: properties[name] for name in other} == other


def test_premium_and_private_reach_the_vault(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """The SKU is premium and there is no public network access."""
    azure.run(written(keyturn, "--premium", "--private"), tmp_path)
    properties = azure.state["vaults"][0]["properties"]
    assert properties["sku"] == {"name": "premium"}
    assert properties["publicNetworkAccess"] == "Disabled"


def test_a_deleted_vault_of_this_name_is_not_covered_up(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """It holds what it held: recovering it is a person's decision."""
    azure.change(deleted=[{"name": "clo-system-vault", "id": "/deleted"}])
    said = azure.run(written(keyturn), tmp_path)
    assert said.status == 1
    assert "az keyvault recover --name clo-system-vault" in said.err
    assert azure.state["vaults"] == []


def test_a_workspace_that_is_named_is_used(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """None is made; a log that goes elsewhere already stops the next run."""
    shape = f"/subscriptions/{GUIDS}/resourceGroups/logs/providers/Microsoft.OperationalInsights/workspaces/"
    assert azure.run(written(keyturn, "--log-workspace", f"{shape}team-a"), tmp_path).status == 0
    assert azure.state["workspaces"] == []
    assert azure.state["logs"][0]["workspaceId"] == f"{shape}team-a"
    said = azure.run(written(keyturn, "--log-workspace", f"{shape}team-b"), tmp_path)
    assert said.status == 1
    assert "another workspace" in said.err


def test_roles_that_nobody_planned_are_named(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """An identity that holds more than its least is told of, and nothing is taken away."""
    script = written(keyturn)
    azure.run(script, tmp_path)
    roles = azure.state["roles"]
    principal = next(row["principalId"] for row in azure.state["identities"] if row["name"].endswith("-read"))
    more = {"principalId": principal, "roleDefinitionName": "Contributor", "scope": f"/subscriptions/{SUBSCRIPTION}"}
    azure.change(roles=[*roles, more])
    said = azure.run(script, tmp_path)
    assert said.status == 0
    assert f"warning: the identity to read also has: Contributor on /subscriptions/{SUBSCRIPTION}" in said.err
    assert more in azure.state["roles"]


def test_a_workload_trusts_its_platform_and_no_other(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """Each subject gets one federated credential; one that is another's stops the run."""
    how = ("--identity", "workload", "--issuer", "https://oidc.example.com/tenant/", "--subject")
    subject = "rotate=system:serviceaccount:keyturn:keyturn"
    said = azure.run(written(keyturn, *how, subject, "--subject", "read=system:serviceaccount:clo:api"), tmp_path)
    assert said.status == 0, said
    assert {(row["identity"], row["subject"]) for row in azure.state["trusts"]} == {
        ("clo-production-rotate", "system:serviceaccount:keyturn:keyturn"),
        ("clo-production-read", "system:serviceaccount:clo:api"),
    }
    store = table(said.out, tmp_path)
    assert isinstance(store, Options)
    assert isinstance(store.identity, Workload)
    assert store.identity.tenant_id == TENANT
    other = azure.run(written(keyturn, *how, "rotate=system:serviceaccount:evil:keyturn"), tmp_path)
    assert other.status == 1
    assert "trusts another workload" in other.err


def test_a_group_of_people_can_be_the_auditors(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """No identity is made for them, and the roles are assigned as a group's."""
    said = azure.run(written(keyturn, "--principal", f"audit=group:{GUIDS}"), tmp_path)
    assert said.status == 0, said
    assert {row["name"] for row in azure.state["identities"]} == {"clo-production-read", "clo-production-rotate"}
    audit = [row for row in azure.state["roles"] if row["principalId"] == GUIDS]
    assert {(row["roleDefinitionName"], row["scope"], row["principalType"]) for row in audit} == {
        (READER, VAULT_ID, "Group"),
        ("Log Analytics Reader", VAULT_ID, "Group"),
    }


def test_names_that_a_shell_could_read_otherwise_stay_names(keyturn: Keyturn, azure: Azure, tmp_path: Path) -> None:
    """Parentheses in a resource group reach az as they are."""
    place = [word.replace("clo-system-prod", "clo_(prod).1") for word in PLACE]
    azure.change(fails="identity list")
    azure.run(keyturn("bootstrap", "azure", *place).out, tmp_path)
    assert azure.state["groups"] == ["clo_(prod).1"]
    assert azure.state["vaults"][0]["id"].split("/")[4] == "clo_(prod).1"


@pytest.mark.parametrize(
    "call",
    [
        "keyvault create --frobnicate",
        "keyvault create --name clo --location",
        "keyvault create --name clo --resource-group clo --sku gold",
        "role assignment create --role Reader",
        "keyvault secret set --vault-name clo --name mail --value not-a-secret",
    ],
)
def test_the_recording_az_refuses_what_az_refuses(azure: Azure, call: str) -> None:
    """An unknown argument, command or word, one that is missing, and a command that no script of ours may have."""
    done = subprocess.run(["az", *call.split()], env=azure.environment, capture_output=True, check=False)
    assert done.returncode != 0
    assert azure.calls() == []
