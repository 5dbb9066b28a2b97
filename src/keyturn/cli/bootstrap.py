"""`keyturn bootstrap`: a place for secrets that does not exist yet, as a script that a person reviews."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, Json, answering
from keyturn.cli.bootstrap_bicep import bicep
from keyturn.cli.bootstrap_plan import (
    Place,
    Plan,
    grants,
    group_name,
    guid,
    identity_prefix,
    location_name,
    own_store,
    principals,
    vault_name,
    workload,
    workspace_id,
)
from keyturn.cli.bootstrap_run import run_script
from keyturn.cli.bootstrap_script import NOT_VERIFIED, script
from keyturn.cli.opening import chosen, manifest
from keyturn.cli.settings import DEFAULT_MANIFEST
from keyturn.core.errors import AdapterError, Conflict, Refused, UsageError
from keyturn.core.secret import check_name
from keyturn.manifest import Manifest
from keyturn.system.files import Directory

TOKEN_FILE = "/var/run/secrets/azure/tokens/azure-identity-token"  # noqa: S105 - a path: where Kubernetes puts it

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="A new place for secrets, as a script that a person reviews."
)


class Format(StrEnum):
    """What is written."""

    AZ = "az"
    BICEP = "bicep"


class Sign(StrEnum):
    """How Keyturn signs in at the vault."""

    MANAGED = "managed"
    WORKLOAD = "workload"


@app.callback()
def group() -> None:
    """A new place for secrets, as a script that a person reviews."""


@app.command("azure")
def azure(  # noqa: PLR0913 - one parameter for each option
    context: typer.Context,
    *,
    vault: Annotated[str, typer.Option("--vault-name", metavar="NAME", help="The vault; unique in all of Azure.")],
    resource_group: Annotated[str, typer.Option(metavar="NAME", help="Where it goes; made if it is not there.")],
    location: Annotated[str, typer.Option(metavar="NAME", help="Such as westeurope.")],
    subscription: Annotated[str, typer.Option(metavar="ID", help="The subscription, by its id.")],
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="Refuse to run for anybody signed in elsewhere.")
    ] = None,
    premium: Annotated[bool, typer.Option("--premium", help="The SKU premium: keys can be kept in an HSM.")] = False,
    private: Annotated[
        bool, typer.Option("--private", help="No public network access; you make the private endpoint.")
    ] = False,
    log_workspace: Annotated[
        str | None, typer.Option(metavar="RESOURCE-ID", help="Log Analytics workspace; without, one is made.")
    ] = None,
    identity: Annotated[Sign, typer.Option(help="How Keyturn signs in.")] = Sign.MANAGED,
    identity_prefix_: Annotated[
        str | None,
        typer.Option("--identity-prefix", metavar="NAME", help="Of their names; else SERVICE-ENVIRONMENT."),
    ] = None,
    principal: Annotated[
        list[str] | None,
        typer.Option(metavar="WHO=TYPE:ID", help="Make none for read or audit: audit=group:ID. May repeat."),
    ] = None,
    issuer: Annotated[str | None, typer.Option(metavar="URL", help="Workload: who issues its tokens.")] = None,
    subject: Annotated[
        list[str] | None, typer.Option(metavar="WHO=TEXT", help="Workload: rotate=SUBJECT, read=... May repeat.")
    ] = None,
    token_file: Annotated[str, typer.Option(metavar="PATH", help="Workload: where Keyturn finds it.")] = TOKEN_FILE,
    store: Annotated[str | None, typer.Option(metavar="NAME", help="Its name in the manifest; else main.")] = None,
    service: Annotated[str | None, typer.Option(metavar="NAME", help="Without a manifest: whose it is.")] = None,
    environment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Without a manifest; else production.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="A script of az calls, or Bicep.")] = Format.AZ,
    output: Annotated[str | None, typer.Option(metavar="FILE", help="Write it there (0600), not to stdout.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Run it, after a question.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """A Key Vault with roles, log and three identities.

    One to read, one to rotate, one to audit, each with the least roles for the secrets of the manifest.
    Runs nothing without --apply. What is there is left as it is; ends with the table for the manifest.
    """

    def work() -> Answer:
        if apply and form is Format.BICEP:
            raise UsageError("--apply runs the script of az calls", "az deployment group create --template-file FILE")
        declared = _declared(context)
        named = _named(declared, service, environment)
        place = Place(
            guid(subscription, "a subscription"),
            guid(tenant, "a tenant") if tenant else None,
            group_name(resource_group),
            location_name(location),
            vault_name(vault),
            premium=premium,
            public=not private,
            workspace=workspace_id(log_workspace) if log_workspace else None,
        )
        known = principals(principal or ())
        federated = workload(issuer, subject or (), token_file, known) if identity is Sign.WORKLOAD else None
        if federated is None and (issuer or subject):
            raise UsageError("--issuer and --subject are for workloads", "--identity workload")
        kept = own_store(declared, store)
        prefix = identity_prefix(identity_prefix_ or "-".join(named))
        plan = Plan(*named, kept, place, prefix, known, federated, grants(declared, kept))
        text = script(plan) if form is Format.AZ else bicep(plan)
        written = _write(output, text, force=force)
        return _applied(plan, text, written, yes=yes) if apply else _shown(plan, text, written, form)

    answering("bootstrap-azure", as_json, work)


def _declared(context: typer.Context) -> Manifest | None:
    """The manifest, None where none was named and none is here."""
    settings = chosen(context)
    if settings.manifest == Path(DEFAULT_MANIFEST) and settings.profile is None and not settings.manifest.exists():
        return None
    return manifest(context)


def _named(declared: Manifest | None, service: str | None, environment: str | None) -> tuple[str, str]:
    if declared is not None:
        if service or environment:
            raise UsageError("the manifest says whose vault it is", "leave out --service and --environment")
        return declared.service, declared.environment
    if service is None:
        raise UsageError("there is no manifest here that says whose vault it is", "--manifest PATH, or --service NAME")
    return check_name(service), check_name(environment or "production")


def _write(output: str | None, text: str, *, force: bool) -> str | None:
    if output is None:
        return None
    path = Path(output)
    with Directory(path.parent, follow=True) as directory:
        if force:
            directory.write(path.name, text.encode())
            return output
        try:
            directory.create(path.name, text.encode())
        except Conflict as there:
            raise Refused(there.message, "--force replaces it") from None
        directory.sync()
    return output


def _data(plan: Plan, text: str, written: str | None, form: Format) -> dict[str, Any]:
    root = plan.place.vault_id
    return {
        "format": form.value,
        "script": text,
        "written": written,
        "applied": False,
        "store": None,
        "roles": [
            {"identity": one.who.value, "role": one.role.name, "scope": f"{root}/{one.entry}".rstrip("/")}
            for one in plan.grants
        ],
        "not_verified": list(NOT_VERIFIED),
    }


def _shown(plan: Plan, text: str, written: str | None, form: Format) -> Answer:
    data = _data(plan, text, written, form)
    how = "bash" if form is Format.AZ else "az deployment group create --template-file"
    notes = (*_summary(plan), f"nothing was run: review it, then {how} {written or 'FILE'}")
    return Answer(data, notes) if written else Answer(data, raw=text, notes=notes)


def _summary(plan: Plan) -> Iterator[str]:
    entries = {one.entry for one in plan.grants if one.entry}
    yield f"{len(plan.grants)} role assignments, at {len(entries)} entries and at the vault itself"
    if not entries:
        yield "no secret is declared for this store: nobody gets a right on any entry yet"
    yield from (f"not verified: {doubt}" for doubt in NOT_VERIFIED)


def _applied(plan: Plan, text: str, written: str | None, *, yes: bool) -> Answer:
    """Show it, ask, run it, and give the table that it ended with."""
    for line in text.splitlines():
        say.note(line)
    if not yes:
        question = f"Run this in subscription {plan.place.subscription}? Type the service's name:"
        if say.ask(question, "--yes") != plan.service:
            raise UsageError("that is not the service's name: nothing was run", "review the script, then --apply again")
    ran = run_script(text.encode(), say.note)
    if ran.status != 0:
        said = f": {ran.last}" if ran.last.startswith("keyturn: stopped") else ""
        raise AdapterError(
            f"the script ended with {ran.status}{said}".rstrip("."),
            "mend what az said above, then the same command again: it looks before it acts",
        )
    data = {**_data(plan, text, written, Format.AZ), "applied": True, "store": ran.out}
    notes = (f"done: put this into the manifest as [stores.{plan.store}], then keyturn doctor",)
    return Answer(data, raw=ran.out, notes=notes)
