"""`az` as far as it can be had without Azure: its own commands, arguments, checks and output, and nobody behind it.

Runs under the Python of scripts/azure_cli.py, which has azure-cli and not Keyturn:

    python recording_az.py FOLDER

It listens at FOLDER/az.sock and keeps azure-cli's own files below FOLDER.

A client sends FILE and its words, with NUL between them, and its stdout and stderr; it gets the exit status. Each call
goes through azure-cli's whole invocation (command table, argument parser, validators, --query, --output);
only the last step, which would send the request, is ours: it is answered out of FILE, and written down there.
An unknown argument therefore ends as it does with the real one: exit status 2; a command that no script of ours may
have is refused before that. What was parsed once, word for word, is not parsed again. No socket but ours can be opened,
so that nobody is contacted.
"""

import itertools
import json
import os
import socket
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

os.environ["AZURE_CORE_COLLECT_TELEMETRY"] = "false"
FOLDER = Path(sys.argv[1])
os.environ["AZURE_CONFIG_DIR"] = str(FOLDER / "config")

import jmespath  # noqa: E402 - as below
from azure.cli.core import get_default_cli  # noqa: E402 - it reads the environment when it is imported
from azure.cli.core.commands import AzCliCommandInvoker  # noqa: E402 - as above
from knack.output import format_tsv  # noqa: E402 - as above
from knack.util import CLIError, CommandResultItem  # noqa: E402 - as above

JSON = Any
MAX_WORDS = 64 * 1024
NAMES = ("calls", "failed", "groups", "workspaces", "vaults", "deleted", "logs", "identities", "trusts", "roles")
WARMING = (
    "account show",
    "group exists --name warm",
    "keyvault list --resource-group warm",
    "identity list --resource-group warm",
    "identity federated-credential list --identity-name warm --resource-group warm",
    "monitor log-analytics workspace list --resource-group warm",
    "monitor diagnostic-settings list --resource warm",
    "role assignment list --all --assignee-object-id warm",
)
State = dict[str, JSON]
Answers = Callable[[State, "Words"], JSON]


class Words:
    """The words of one call; options by their name."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)

    def __getitem__(self, option: str) -> str:
        return self._argv[self._argv.index(option) + 1]

    def __contains__(self, option: str) -> bool:
        return option in self._argv


def _id(state: State, words: Words, kind: str, name: str) -> str:
    return f"/subscriptions/{state['subscription']}/resourceGroups/{words['--resource-group']}/providers/{kind}/{name}"


def _named(rows: list[JSON], name: str) -> JSON:
    for row in rows:
        if row["name"] == name:
            return row
    raise CLIError(f"(ResourceNotFound) {name} was not found.")


def _group_create(state: State, words: Words) -> JSON:
    state["groups"].append(words["--name"])
    return {"name": words["--name"]}


def _workspace_create(state: State, words: Words) -> JSON:
    kind = "Microsoft.OperationalInsights/workspaces"
    row = {"name": words["--name"], "id": _id(state, words, kind, words["--name"])}
    state["workspaces"].append(row)
    return row


def _vault_create(state: State, words: Words) -> JSON:
    name = words["--name"]
    properties = {
        "vaultUri": f"https://{name.lower()}.vault.azure.net/",
        "enableRbacAuthorization": words["--enable-rbac-authorization"] == "true",
        "enablePurgeProtection": words["--enable-purge-protection"] == "true" or None,
        "sku": {"name": words["--sku"]},
        "publicNetworkAccess": words["--public-network-access"],
        "softDeleteRetentionInDays": int(words["--retention-days"]),
    }
    row = {"name": name, "id": _id(state, words, "Microsoft.KeyVault/vaults", name), "properties": properties}
    state["vaults"].append(row)
    return row


def _vault_update(state: State, words: Words) -> JSON:
    row = _named(state["vaults"], words["--name"])
    row["properties"]["enablePurgeProtection"] = words["--enable-purge-protection"] == "true"
    return row


def _log_create(state: State, words: Words) -> JSON:
    row = {"name": words["--name"], "resource": words["--resource"], "workspaceId": words["--workspace"]}
    state["logs"].append({**row, "logs": json.loads(words["--logs"])})
    return row


def _identity_create(state: State, words: Words) -> JSON:
    name = words["--name"]
    ids = {key: str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{key}.{name}")) for key in ("principalId", "clientId")}
    row = {"name": name, "tenantId": state["tenant"], **ids}
    state["identities"].append(row)
    return row


def _trust_create(state: State, words: Words) -> JSON:
    row = {"name": words["--name"], "identity": words["--identity-name"]}
    row |= {"issuer": words["--issuer"], "subject": words["--subject"]}
    state["trusts"].append(row)
    return row


def _role_create(state: State, words: Words) -> JSON:
    row = {"principalId": words["--assignee-object-id"], "roleDefinitionName": words["--role"]}
    row |= {"scope": words["--scope"], "principalType": words["--assignee-principal-type"]}
    state["roles"].append(row)
    return row


ANSWERS: dict[str, Answers] = {
    "account show": lambda state, _: {"id": state["subscription"], "tenantId": state["tenant"]},
    "group exists": lambda state, words: words["--name"] in state["groups"],
    "group create": _group_create,
    "monitor log-analytics workspace list": lambda state, _: state["workspaces"],
    "monitor log-analytics workspace show": lambda state, words: _named(state["workspaces"], words["--name"]),
    "monitor log-analytics workspace create": _workspace_create,
    "monitor log-analytics workspace update": lambda state, words: _named(state["workspaces"], words["--name"]),
    "monitor diagnostic-settings list": lambda state, words: [
        row for row in state["logs"] if row["resource"] == words["--resource"]
    ],
    "monitor diagnostic-settings create": _log_create,
    "keyvault list": lambda state, _: state["vaults"],
    "keyvault list-deleted": lambda state, _: state["deleted"],
    "keyvault show": lambda state, words: _named(state["vaults"], words["--name"]),
    "keyvault create": _vault_create,
    "keyvault update": _vault_update,
    "identity list": lambda state, _: state["identities"],
    "identity show": lambda state, words: _named(state["identities"], words["--name"]),
    "identity create": _identity_create,
    "identity federated-credential list": lambda state, words: [
        row for row in state["trusts"] if row["identity"] == words["--identity-name"]
    ],
    "identity federated-credential create": _trust_create,
    "role assignment list": lambda state, words: [
        row for row in state["roles"] if row["principalId"] == words["--assignee-object-id"]
    ],
    "role assignment create": _role_create,
}
"""What Azure would answer; a command that is not here is answered by an error."""


def command_of(argv: Sequence[str]) -> str:
    """The words before the first option."""
    return " ".join(itertools.takewhile(lambda word: not word.startswith("-"), argv))


def reply(argv: Sequence[str], state: State) -> JSON:
    """What Azure would answer; the call is written down."""
    command = command_of(argv)
    if command == state["fails"]:
        raise CLIError("(AuthorizationFailed) The client does not have authorization to perform this action.")
    state["calls"].append(list(argv))
    return ANSWERS[command](state, Words(argv))


class Recorder(AzCliCommandInvoker):  # type: ignore[misc] # azure-cli has no types
    """azure-cli's own invocation, up to the request."""

    argv: Sequence[str] = ()
    state: State = {}  # noqa: RUF012 - one call at a time

    def _run_jobs_serially(self, jobs: JSON, ids: JSON) -> tuple[list[JSON], list[JSON]]:  # noqa: ARG002 - theirs
        """In place of the function that would send the request."""
        return [reply(self.argv, self.state)], []


def _closed(*_: object, **__: object) -> NoReturn:
    raise OSError("nobody is contacted from here")


def call(argv: Sequence[str], file: Path) -> int:
    """One call of `az`; its exit status."""
    cli = get_default_cli()
    cli.invocation_cls = Recorder
    state = json.loads(file.read_text())
    Recorder.argv, Recorder.state = argv, state
    try:
        status = cli.invoke(list(argv)) or 0
    except SystemExit as end:
        status = end.code
    if status:
        state["failed"].append(list(argv))
    file.write_text(json.dumps(state))
    return int(status)


def again(argv: Sequence[str], file: Path, out: int, err: int) -> int:
    """The same for words that azure-cli has parsed before: asked and formatted by its own means, not parsed."""
    state, words = json.loads(file.read_text()), Words(argv)
    try:
        result = reply(argv, state)
        if "--query" in words:
            result = jmespath.search(words["--query"], result)
        if words["--output"] != "none" and result is not None:
            os.write(out, format_tsv(CommandResultItem(result)).encode())
        status = 0
    except CLIError as error:
        os.write(err, f"ERROR: {error}\n".encode())
        state["failed"].append(list(argv))
        status = 1
    file.write_text(json.dumps(state))
    return status


def fresh(argv: Sequence[str], file: Path, streams: Sequence[int]) -> int:
    """One call in a child of its own, which starts as all others did and writes to what the caller gave it."""
    child = os.fork()
    if child == 0:
        status = 70
        try:
            for number, stream in enumerate(streams, start=1):
                os.dup2(stream, number)
            status = call(argv, file)
            sys.stdout.flush()
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended)


def answer(connection: socket.socket, parsed: set[tuple[str, ...]]) -> None:
    """One call, from the words to the exit status."""
    line, streams, _, _ = socket.recv_fds(connection, MAX_WORDS, 2)
    state, *words = line.decode().split("\0")
    argv, file = tuple(words), Path(state)
    if command_of(argv) not in ANSWERS:
        os.write(streams[1], f"ERROR: nobody expected this command: {command_of(argv)}\n".encode())
        status = 2
    elif argv in parsed:
        status = again(argv, file, *streams)
    else:
        status = fresh(argv, file, streams)
        if status == 0:
            parsed.add(argv)
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{status}\n".encode())


def warm() -> None:
    """Import what the calls need, once for all children."""
    state = FOLDER / "warm.json"
    for argv in WARMING:
        state.write_text(json.dumps({**{name: [] for name in NAMES}, "fails": "", "tenant": "", "subscription": ""}))
        call([*argv.split(), "--output", "none"], state)


def main() -> None:
    """Answer calls, one after the other, until somebody ends this process."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(FOLDER / "az.sock"))
        listener.listen()
        for name in ("connect", "connect_ex"):
            setattr(socket.socket, name, _closed)
        socket.getaddrinfo = _closed  # nobody is looked up either
        warm()
        parsed: set[tuple[str, ...]] = set()
        os.write(1, b"ready\n")
        while True:
            connection, _ = listener.accept()
            with connection:
                answer(connection, parsed)


if __name__ == "__main__":
    main()
