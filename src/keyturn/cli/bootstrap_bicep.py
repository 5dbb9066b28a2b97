r"""The plan as Bicep: the same vault, log, identities and roles, for a team that deploys by templates.

Deployed into the resource group (`az deployment group create`), it may be repeated: the name of a role
assignment is made of its scope, its identity and its role. A text of Bicep stands between single quotes,
where `\`, `'` and `${` have to be escaped; names are checked before, so that none holds one.
"""

from collections.abc import Iterable, Iterator

from keyturn.cli.bootstrap_plan import LOG_DAYS, RETENTION_DAYS, Grant, Plan, Who

_HEAD = """\
// Azure Key Vault {vault} for {service}, {environment}.
//
// az group create --name {group} --location {location} --subscription {subscription}
// az deployment group create --resource-group {group} --subscription {subscription} --template-file FILE
//
// The output `store` is the table for the manifest. No value of a secret stands here, and none is made.
// Not compiled by the tests of Keyturn: `az bicep build --file FILE` and `what-if` before the first deployment.
targetScope = 'resourceGroup'

param location string = {quoted_location}

"""

_MADE_WORKSPACE = """\
resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {{
  name: '{vault}-log'
  location: location
  properties: {{
    sku: {{ name: 'PerGB2018' }}
    retentionInDays: {days}
    features: {{ enableLogAccessUsingOnlyResourcePermissions: true }}
  }}
}}

"""

_VAULT = """\
// Purge protection cannot be switched off again.
resource vault 'Microsoft.KeyVault/vaults@2023-07-01' = {{
  name: {name}
  location: location
  properties: {{
    tenantId: {tenant}
    sku: {{ family: 'A', name: '{sku}' }}
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: {days}
    enablePurgeProtection: true
    publicNetworkAccess: '{network}'
  }}
}}

resource log 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {{
  name: 'keyturn-audit'
  scope: vault
  properties: {{
    workspaceId: {workspace}
    logAnalyticsDestinationType: 'Dedicated'
    logs: [{{ category: 'AuditEvent', enabled: true }}]
  }}
}}

"""

_IDENTITY = """\
resource {who} 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {{
  name: {name}
  location: location
}}

"""

_FEDERATED = """\
resource {who}Federated 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {{
  parent: {who}
  name: 'keyturn'
  properties: {{
    issuer: {issuer}
    subject: {subject}
    audiences: ['api://AzureADTokenExchange']
  }}
}}

"""

_ENTRY = """\
resource {symbol} 'Microsoft.KeyVault/vaults/{part}@2023-07-01' existing = {{
  parent: vault
  name: {name}
}}

"""

_ROLE = """\
// {what}
resource {symbol} 'Microsoft.Authorization/roleAssignments@2022-04-01' = {{
  name: guid({scope}.id, {seed}, '{role}')
  scope: {scope}
  properties: {{
    principalId: {principal}
    principalType: '{type}'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{role}')
  }}
}}

"""


def bicep(plan: Plan) -> str:
    """The whole file; the same plan gives the same bytes."""
    parts = [_head(plan), _vault(plan), *_identities(plan), *_entries(plan.grants), *_roles(plan), _output(plan)]
    return "".join(parts)


def quoted(text: str) -> str:
    """`text` as a string of Bicep."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return f"'{escaped}'"


def _head(plan: Plan) -> str:
    place = plan.place
    return _HEAD.format(
        vault=place.vault,
        service=plan.service,
        environment=plan.environment,
        group=place.group,
        location=place.location,
        subscription=place.subscription,
        quoted_location=quoted(place.location),
    )


def _vault(plan: Plan) -> str:
    place = plan.place
    made = _MADE_WORKSPACE.format(vault=place.vault, days=LOG_DAYS) if place.workspace is None else ""
    return made + _VAULT.format(
        name=quoted(place.vault),
        tenant=quoted(place.tenant) if place.tenant else "subscription().tenantId",
        sku="premium" if place.premium else "standard",
        days=RETENTION_DAYS,
        network="Enabled" if place.public else "Disabled",
        workspace=quoted(place.workspace) if place.workspace else "workspace.id",
    )


def _identities(plan: Plan) -> Iterator[str]:
    for who in Who:
        if who in plan.known:
            continue
        yield _IDENTITY.format(who=who, name=quoted(plan.identity(who)))
        if plan.workload is not None and who in plan.workload.subjects:
            subject = plan.workload.subjects[who]
            yield _FEDERATED.format(who=who, issuer=quoted(plan.workload.issuer), subject=quoted(subject))


def _entries(grants: Iterable[Grant]) -> Iterator[str]:
    """Scopes of role assignments; `existing` asks for nothing as long as only the id is used."""
    for entry in sorted({grant.entry for grant in grants} - {""}):
        part, _, name = entry.partition("/")
        yield _ENTRY.format(symbol=_symbol(entry), part=part, name=quoted(name))


def _symbol(entry: str) -> str:
    """`secrets/a-b` as `secrets_a_2db`: an identifier that no other entry has."""
    part, _, name = entry.partition("/")
    return f"{part}_{''.join(c if c.isalnum() else f'_{ord(c):x}' for c in name)}"


def _roles(plan: Plan) -> Iterator[str]:
    for number, grant in enumerate(plan.grants, start=1):
        known = plan.known.get(grant.who)
        yield _ROLE.format(
            what=f"{grant.who}: {grant.role.name}, {grant.entry or 'the vault itself'}",
            symbol=f"role{number}",
            scope=_symbol(grant.entry) if grant.entry else "vault",
            seed=quoted(known.id) if known else f"{grant.who}.id",  # a name must be known before anything is made
            principal=quoted(known.id) if known else f"{grant.who}.properties.principalId",
            type=known.type if known else "ServicePrincipal",
            role=grant.role.id,
        )


def _output(plan: Plan) -> str:
    lines = f'[stores.{plan.store}]\\nkind = "azure-key-vault"\\nurl = "${{vault.properties.vaultUri}}"\\n'
    if plan.workload is None:
        identity = 'kind = "managed", client_id = "${rotate.properties.clientId}"'
    else:
        file = quoted(plan.workload.token_file)[1:-1]
        identity = (
            'kind = "workload", tenant_id = "${subscription().tenantId}", '
            f'client_id = "${{rotate.properties.clientId}}", token_file = "{file}"'
        )
    clients = "".join(
        f"output {who}Client string = {who}.properties.clientId\n" for who in Who if who not in plan.known
    )
    pins = 'tenant = "${subscription().tenantId}"\\nresource_id = "${vault.id}"\\n'
    return f"{clients}output store string = '{lines}identity = {{ {identity} }}\\n{pins}'\n"
