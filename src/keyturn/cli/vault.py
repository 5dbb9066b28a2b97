"""`keyturn vault`: who can open the local vaults: one let in, one taken away, and back in without the key file."""

import sys
from collections.abc import Callable
from getpass import getpass
from pathlib import Path
from typing import Annotated

import typer

from keyturn.checks.slots import slot_exposed
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.init import Recovery
from keyturn.cli.opening import opened
from keyturn.cli.set import PROMPT, Source, read
from keyturn.cli.vault_slots import Removed, Row, add, record_data, recover, remove, slots
from keyturn.core.errors import UsageError
from keyturn.core.kinds import rotates
from keyturn.core.secret import SecretValue, check_name
from keyturn.stores.local import Keyring
from keyturn.stores.local.recovery_code import fresh_code
from keyturn.stores.local.slots import KEY_FILE, PASSPHRASE, RECOVERY
from keyturn.stores.local.stretch import check_passphrase

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Who can open the local vaults; let one in, take one away."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The slot: whose it is, such as alice or host-2.")]
From = Annotated[
    str | None, typer.Argument(metavar="@FILE|-|prompt", help="Where it comes from; a prompt when left out.")
]


@app.command("slots")
def slots_(context: typer.Context, *, as_json: Json = False) -> None:
    """List the ways into the vaults, never what opens them.

    Name, kind, since when, and which one is in use.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            rows = slots(assembly)
        every = max(len(row.vaults) for row in rows)
        return Answer({"slots": record_data(rows)}, tuple(_line(row, every) for row in rows))

    answering("vault-slots", as_json, work)


def _line(row: Row, every: int) -> str:
    marks = ["in use"] * row.used + [f"only in {', '.join(row.vaults)}: repeat what was cut off"] * (
        len(row.vaults) < every
    )
    return f"{row.slot.name}  {row.slot.kind}  since {row.slot.since}" + (f"  ({'; '.join(marks)})" if marks else "")


@app.command("add-passphrase")
def add_passphrase(context: typer.Context, name: Name, source: From = None, *, as_json: Json = False) -> None:
    """Let a person's passphrase open the vaults too.

    For when the key file is lost: a passphrase opens them by `keyturn vault recover`. Nothing runs unattended
    with it: that needs the key file.
    """

    def work() -> Answer:
        check_name(name)
        words = SecretValue(typed(source, "passphrase", twice=True))
        check_passphrase(words)
        return _added(context, name, PASSPHRASE, lambda keyring: keyring.add(name, PASSPHRASE, words))

    answering("vault-add-passphrase", as_json, work)


@app.command("add-key-file")
def add_key_file(
    context: typer.Context,
    name: Name,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The key file; made (0600) when nothing is there.")],
    *,
    as_json: Json = False,
) -> None:
    """Let one more key file open the vaults.

    The first half of changing the key file. Then point KEYTURN_VAULT_KEY_FILE at it, and remove the former one:
    `keyturn vault remove NAME`.
    """

    def work() -> Answer:
        check_name(name)
        where = path.absolute()
        return _added(context, name, KEY_FILE, lambda keyring: keyring.add_key_file(name, where))

    answering("vault-add-key-file", as_json, work)


@app.command("add-recovery")
def add_recovery(
    context: typer.Context,
    name: Name,
    *,
    recovery_file: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Write the code there (0600), not to the terminal.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make one more recovery code, shown once.

    Such as after the paper with the first one was lost; then remove that one.
    """

    def work() -> Answer:
        check_name(name)
        if recovery_file is None and (as_json or not sys.stderr.isatty()):
            raise UsageError("there is no terminal to show the code on", "say where it goes: --recovery-file PATH")
        code = fresh_code()
        with Recovery(recovery_file) as kept:
            answer = _added(context, name, RECOVERY, lambda keyring: keyring.add(name, RECOVERY, code))
            kept.keep(code)
        return answer

    answering("vault-add-recovery", as_json, work)


@app.command("remove")
def remove_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which slot: keyturn vault slots lists them.")],
    *,
    as_json: Json = False,
) -> None:
    """Take a way in away, and give every vault a new key.

    The other ways stay as they are. Says which secrets whoever held it could have read: what was read once
    stays known until it is rotated. Cut off half-way, the same command again finishes.
    """

    def work() -> Answer:
        with opened(context) as assembly:
            removed = remove(assembly, name)
            rotated = {n: rotates(table.kind) for n, table in assembly.manifest.secrets.items()}
        return _told(removed, rotated)

    answering("vault-remove", as_json, work)


def _told(removed: Removed, rotated: dict[str, bool]) -> Answer:
    found = tuple(
        slot_exposed(secret, removed.slot, rotatable=rotated.get(secret, False)) for secret in removed.exposed
    )
    lines = (
        f"{removed.slot} opens nothing any more: {', '.join(removed.vaults)} have new keys",
        f"an old copy of a vault still opens with it, and with it {len(removed.exposed)} secrets"
        + (f", and Keyturn's own {', '.join(removed.own)}" if removed.own else ""),
    )
    data = {"slot": removed.slot, "vaults": list(removed.vaults), "exposed": list(removed.exposed)}
    return Answer({**data, "own": list(removed.own)}, lines, findings=found)


@app.command("recover")
def recover_(
    context: typer.Context,
    source: From = None,
    *,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="A passphrase, not a recovery code.")] = False,
    as_json: Json = False,
) -> None:
    """Come back without the key file.

    A recovery code or a passphrase opens the vaults to a new key file. Former key files open nothing any more.
    Codes and passphrases stay. A vault whose anchor is missing gets a new one: you vouch for that copy.
    """

    def work() -> Answer:
        kind, what = (PASSPHRASE, "passphrase") if passphrase else (RECOVERY, "recovery code")
        with opened(context) as assembly:
            vaults = recover(assembly, kind, SecretValue(typed(source, what, twice=False)))
            key_file = str(assembly.state.key_file)
        line = f"{', '.join(vaults)} open with {key_file} again, and with no former key file"
        return Answer({"vaults": list(vaults), "kind": kind, "key_file": key_file}, (line,))

    answering("vault-recover", as_json, work)


def _added(context: typer.Context, name: str, kind: str, admit: Callable[[Keyring], bool]) -> Answer:
    with opened(context) as assembly:
        vaults = add(assembly, name, kind, admit)
    return Answer({"slot": name, "kind": kind, "vaults": list(vaults)}, (f"{name} opens {', '.join(vaults)}",))


def typed(source: str | None, what: str, *, twice: bool) -> str:
    """What a person keeps: from a prompt, from stdin (`-`), or from `@FILE`; never from the command line itself."""
    where = source or PROMPT
    if where == PROMPT and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"there is no terminal to ask for the {what}", "say where it is: @FILE or -")
    if where == PROMPT and not twice:
        return getpass(f"{what}: ")
    if where not in {PROMPT, "-"} and not (where.startswith("@") and len(where) > 1):
        raise UsageError(f"a {what} has no place on a command line, where others can read it", "@FILE, - or prompt")
    return read(Source(what, where))
