"""The plan as a script of `az` calls: for a person to review, and for `--apply` to run as it stands.

Every text of a caller is quoted by `shlex` and stands in one place at the top, or behind a role. What is
there is asked for by lists, which answer with nothing where there is nothing: not every `show` that fails
says whether it is missing or could not be looked at.
"""

import shlex
from collections.abc import Iterator

from keyturn.cli.bootstrap_plan import LOG_DAYS, RETENTION_DAYS, Grant, Plan, Who

NOT_VERIFIED = (
    "that Azure takes a role assignment at the scope of an entry that does not exist yet",
    "that listing the role assignments of an identity shows those at the scope of an entry",
    "that Log Analytics Reader on the vault shows the vault's own rows of a workspace, and no others",
    "how long a new role needs until the vault honours it (Microsoft says: up to 10 minutes)",
)
"""What no test could see, because it is Azure's own behaviour."""

_PURPOSE = {
    Who.READ: "Applications read with it, in front of the vault: the values of entries that they use, nothing else.",
    Who.ROTATE: "Keyturn signs in with it: writes the entries that are declared, and lists the names in the vault.",
    Who.AUDIT: "Auditors look with it: metadata of the vault and its log, never a value.",
}

_HEAD = """\
#!/usr/bin/env bash
# Azure Key Vault {vault} for {service}, {environment}.
#
# Review it, then run it:  bash FILE
#
# It needs bash 4, az (its words are those of 2.91.0) and `az login` by somebody who is Reader of the subscription and
# may make resources and role assignments in the resource group: Owner, or Contributor with Role Based Access Control
# Administrator. These are yours while it runs; no identity below gets one of them.
#
# It looks before it acts, so it may be repeated: what is there is left as it is, what is missing is made.
# It reads no value of a secret, and none stands in it. stdout is the table for the manifest, stderr the progress.
#
# Not verified against Azure:
{doubts}
case "${{BASH_VERSION:-none}}" in
  [1-3].* | none) echo 'keyturn: it needs bash 4 or later: bash FILE' >&2; exit 1 ;;
esac
set -euo pipefail

subscription={subscription}
group={group}
location={location}
vault={name}
vault_id={vault_id}
steps={steps}
"""

_FUNCTIONS = """\

say() { printf 'keyturn: %s\\n' "$*" >&2; }
refuse() { say "$1"; exit 1; }
number=0
doing='nothing yet'
step() { number=$((number + 1)); doing=$1; say "[$number/$steps] $doing"; }
ended() {
  local status=$?
  if [ "$status" -ne 0 ]; then
    say "stopped in step $number of $steps ($doing). Mend what is said above and run it again: what is done stays done."
  fi
}
trap ended EXIT
command -v az >/dev/null || refuse 'az is not installed: https://learn.microsoft.com/cli/azure/install-azure-cli'

# Always in this subscription, whatever is the default of who runs it.
az() { command az "$@" --subscription "$subscription" --only-show-errors; }

# identity NAME: its object id in $principal; made where it is not there.
identity() {
  principal=$(az identity list --resource-group "$group" --query "[?name=='$1'].principalId" --output tsv)
  if [ -z "$principal" ]; then
    az identity create --resource-group "$group" --name "$1" --location "$location" --output none
    principal=$(az identity show --resource-group "$group" --name "$1" --query principalId --output tsv)
  fi
  [ -n "$principal" ] || refuse "identity $1 has no object id"
}

# holds: what $principal has by now, one line "ROLE<tab>SCOPE" for each.
holds() {
  held=$(az role assignment list --all --assignee-object-id "$principal" --fill-principal-name false \\
    --query '[].[roleDefinitionName, scope]' --output tsv)
  wanted=
}

# grant ROLE SCOPE: to $principal, unless it has it. With id and type nobody asks the directory, which learns of a
# new identity only after a while.
grant() {
  wanted+="$1"$'\\t'"$2"$'\\n'
  if grep -Fixq -- "$1"$'\\t'"$2" <<<"$held"; then return; fi
  az role assignment create --assignee-object-id "$principal" --assignee-principal-type "$type" \\
    --role "$1" --scope "$2" --output none
}

# beyond NAME: roles that $principal had before and that are not in here are named, never taken away.
beyond() {
  local line
  while IFS= read -r line; do
    if [ -n "$line" ] && ! grep -Fixq -- "$line" <<<"$wanted"; then
      say "warning: $1 also has: ${line/$'\\t'/ on }: take it away unless you know why"
    fi
  done <<<"$held"
}
"""

_SIGNED_IN = """\

# Right account, or nothing at all.
step 'who is signed in'
tenant=$(az account show --query tenantId --output tsv)
"""

_TENANT = """\
[ "${{tenant,,}}" = {tenant} ] || refuse "signed in at tenant $tenant, this script is for another one: az login"
"""

_GROUP = """\

step 'resource group'
there=$(az group exists --name "$group" --output tsv)
if [ "${there,,}" != true ]; then
  az group create --name "$group" --location "$location" --output none
fi
"""

_WORKSPACE = """\

# The log outlives what it tells of. Who may read the vault's metadata reads the vault's rows, and no others.
step 'workspace for the log'
log="$vault-log"
workspace=$(az monitor log-analytics workspace list --resource-group "$group" --query "[?name=='$log'].id" --output tsv)
if [ -z "$workspace" ]; then
  az monitor log-analytics workspace create --resource-group "$group" --name "$log" --location "$location" \\
    --retention-time {days} --output none
  az monitor log-analytics workspace update --resource-group "$group" --name "$log" \\
    --set features.enableLogAccessUsingOnlyResourcePermissions=true --output none
  workspace=$(az monitor log-analytics workspace show --resource-group "$group" --name "$log" --query id --output tsv)
fi
"""

_VAULT = """\

# Roles instead of access policies: rights for one entry each, and a Contributor cannot give himself the values.
# Purge protection cannot be switched off again: nobody can destroy a deleted entry before {days} days are over.
step 'vault'
found=$(az keyvault list --resource-group "$group" --query "[?name=='$vault'].id" --output tsv)
if [ -z "$found" ]; then
  deleted=$(az keyvault list-deleted --resource-type vault --query "[?name=='$vault'].id" --output tsv)
  [ -z "$deleted" ] || refuse "a deleted vault has this name, with all it held: az keyvault recover --name $vault"
  az keyvault create --resource-group "$group" --name "$vault" --location "$location" --sku {sku} \\
    --enable-rbac-authorization true --enable-purge-protection true --retention-days {days} \\
    --public-network-access {network} --output none
else
  facts=$(az keyvault show --resource-group "$group" --name "$vault" --output tsv --query \\
    '[[to_string(properties.enableRbacAuthorization), to_string(properties.enablePurgeProtection), properties.sku.name,
    to_string(properties.publicNetworkAccess), to_string(properties.softDeleteRetentionInDays)]]')
  IFS=$'\\t' read -r rbac purge sku network days <<<"$facts"
  # Switched over, it would at once shut out everybody who reads by an access policy.
  [ "$rbac" = true ] || refuse 'the vault goes by access policies: give its readers roles, then switch it by hand'
  [ "$purge" = true ] || \\
    az keyvault update --resource-group "$group" --name "$vault" --enable-purge-protection true --output none
  [ "${{sku,,}}" = {sku} ] || say "warning: the vault is $sku, {sku} was asked for"
  [ "${{network,,}}" = {network_lower} ] || say "warning: public network access is $network, {network} was asked for"
  [ "$days" = {days} ] || say "warning: what is deleted is kept for $days days, not {days}"
fi
"""

_DIAGNOSTICS = """\

# Before anybody gets a right: who reads what, when, from where. The log holds names, never values.
step 'diagnostic log'
log_at=$(az monitor diagnostic-settings list --resource "$vault_id" \\
  --query "[?name=='keyturn-audit'].workspaceId" --output tsv)
if [ -z "$log_at" ]; then
  az monitor diagnostic-settings create --name keyturn-audit --resource "$vault_id" --workspace "$workspace" \\
    --export-to-resource-specific true --logs '[{"category": "AuditEvent", "enabled": true}]' --output none
else
  [ "${log_at,,}" = "${workspace,,}" ] || refuse "keyturn-audit sends to another workspace: $log_at"
fi
"""

_FEDERATED = """\
# Signs in by a token of its platform: there is no secret that could leak or expire.
federated=$(az identity federated-credential list --identity-name {name} --resource-group "$group" \\
  --query "[?name=='keyturn'].[issuer, subject]" --output tsv)
if [ -z "$federated" ]; then
  az identity federated-credential create --identity-name {name} --resource-group "$group" --name keyturn \\
    --issuer {issuer} --subject {subject} --audiences api://AzureADTokenExchange --output none
else
  [ "$federated" = {issuer}$'\\t'{subject} ] || refuse 'it trusts another workload: look at it, and remove that by hand'
fi
"""

_CLIENT = """\
{who}_client=$(az identity show --resource-group "$group" --name {name} --query clientId --output tsv)
"""

_END = """\

# What the manifest needs. Nothing is printed that is not what it has to be.
step 'the table of the manifest'
url=$(az keyvault show --resource-group "$group" --name "$vault" --query properties.vaultUri --output tsv)
[[ $url =~ ^https://[a-z0-9.-]+/$ ]] || refuse 'the vault has no address'
[[ $rotate_client =~ ^[0-9a-fA-F-]{{36}}$ ]] || refuse 'the identity of Keyturn has no client id'
[[ $tenant =~ ^[0-9a-fA-F-]{{36}}$ ]] || refuse 'the tenant has no id'
{say}printf '[stores.%s]\\nkind = "azure-key-vault"\\nurl = "%s"\\n' {store} "$url"
printf {identity}
printf 'tenant = "%s"\\nresource_id = "%s"\\n' "$tenant" "$vault_id"
"""


def script(plan: Plan) -> str:
    """The whole script; the same plan gives the same bytes."""
    steps = [*_before(plan), *_identities(plan), _end(plan)]
    count = sum(line.startswith("step ") for text in steps for line in text.splitlines())
    return "".join([_head(plan, count), _FUNCTIONS, *steps])


def _head(plan: Plan, steps: int) -> str:
    place = plan.place
    return _HEAD.format(
        vault=place.vault,
        service=plan.service,
        environment=plan.environment,
        doubts="\n".join(f"# - {doubt}" for doubt in NOT_VERIFIED),
        subscription=shlex.quote(place.subscription),
        group=shlex.quote(place.group),
        location=shlex.quote(place.location),
        name=shlex.quote(place.vault),
        vault_id=shlex.quote(place.vault_id),
        steps=steps,
    )


def _before(plan: Plan) -> Iterator[str]:
    """Everything but identities, the log before any right."""
    place = plan.place
    yield _SIGNED_IN
    if place.tenant is not None:
        yield _TENANT.format(tenant=shlex.quote(place.tenant))
    yield _GROUP
    if place.workspace is None:
        yield _WORKSPACE.format(days=LOG_DAYS)
    else:
        yield f"\nworkspace={shlex.quote(place.workspace)}\n"
    network = "Enabled" if place.public else "Disabled"
    yield _VAULT.format(
        sku="premium" if place.premium else "standard",
        network=network,
        network_lower=network.lower(),
        days=RETENTION_DAYS,
    )
    yield _DIAGNOSTICS


def _identities(plan: Plan) -> Iterator[str]:
    for who in Who:
        yield f"\n# {_PURPOSE[who]}\nstep 'identity to {who}'\n"
        yield _known(plan, who) if who in plan.known else _made(plan, who)
        yield f"\nstep 'roles to {who}'\nholds\n"
        if not plan.of(who):
            yield "# No entry is declared yet: declare them in the manifest, write this script anew, run it again.\n"
        yield from map(_grant, plan.of(who))
        if who not in plan.known:  # what others have elsewhere is not ours to judge
            yield f"beyond 'the identity to {who}'\n"


def _known(plan: Plan, who: Who) -> str:
    known = plan.known[who]
    return f"type={shlex.quote(known.type)}\nprincipal={shlex.quote(known.id)}\n"


def _made(plan: Plan, who: Who) -> str:
    name = shlex.quote(plan.identity(who))
    text = f"type=ServicePrincipal\nidentity {name}\n"
    if plan.workload is not None and who in plan.workload.subjects:
        issuer, subject = plan.workload.issuer, plan.workload.subjects[who]
        text += _FEDERATED.format(name=name, issuer=shlex.quote(issuer), subject=shlex.quote(subject))
    return text + _CLIENT.format(who=who, name=name)


def _grant(grant: Grant) -> str:
    scope = f'"$vault_id"{shlex.quote(f"/{grant.entry}")}' if grant.entry else '"$vault_id"'
    return f"grant {shlex.quote(grant.role.name)} {scope}\n"


def _end(plan: Plan) -> str:
    """The table: who signs in is the identity to rotate."""
    made = [who for who in (Who.READ, Who.AUDIT) if who not in plan.known]
    said = "".join(f'say "client id to {who}: ${who}_client"\n' for who in made)
    if plan.workload is None:
        table = 'identity = { kind = "managed", client_id = "%s" }\\n'
        arguments = '"$rotate_client"'
    else:
        table = 'identity = { kind = "workload", tenant_id = "%s", client_id = "%s", token_file = "%s" }\\n'
        arguments = f'"$tenant" "$rotate_client" {shlex.quote(plan.workload.token_file)}'
    identity = f"{shlex.quote(table)} {arguments}"
    return _END.format(say=said, store=shlex.quote(plan.store), identity=identity)
