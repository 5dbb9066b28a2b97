"""What Azure Resource Manager says of a vault: its SKU, and whether its reads are logged. Two requests, nothing else.

Values do not come by here, and the vault itself is not asked. learn.microsoft.com/rest/api/keyvault/keyvault/vaults/get
and learn.microsoft.com/rest/api/monitor/diagnostic-settings/list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from azure.core import PipelineClient
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest, HttpResponse

from keyturn.core.errors import AdapterError, Denied
from keyturn.stores.azure_key_vault import redaction
from keyturn.stores.azure_key_vault.errors import Request, told
from keyturn.stores.azure_key_vault.identity import SignIn
from keyturn.stores.azure_key_vault.reach import PATIENCE, Patience

PUBLIC = "https://management.azure.com"
VAULT_VERSION, SETTINGS_VERSION = "2023-07-01", "2021-05-01-preview"
_LOGGED = frozenset({"auditevent", "audit", "alllogs"})
"""The category of reads, and the groups of categories that it is in."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What was seen of a vault; `unseen` says why there is nothing."""

    hardware: bool | None = None
    logged: bool | None = None
    unseen: str = ""


class AzureResource:
    """One vault as its subscription sees it.

    Args:
        resource_id: of the vault.
        credential: how to sign in.
        url: of Resource Manager.
        ca_file: authorities that may vouch for it, if not the system's.
        timeout: seconds for one request.
        patience: seconds that are waited at most before it is repeated.
    """

    def __init__(  # noqa: PLR0913 - one vault and how it is reached, all but two by name
        self,
        resource_id: str,
        credential: SignIn,
        *,
        url: str = PUBLIC,
        ca_file: str | None = None,
        timeout: float = 10.0,
        patience: float = PATIENCE,
    ) -> None:
        redaction.install()
        self.resource_id = resource_id
        self._identity, self._url = credential.kind, url.rstrip("/")
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            self._url,
            policies=[
                UserAgentPolicy("keyturn"),
                Patience(patience),
                BearerTokenCredentialPolicy(credential, f"{self._url}/.default"),
            ],
            connection_verify=ca_file or True,
            connection_timeout=timeout,
            read_timeout=timeout,
        )

    def standing(self, vault: str) -> Standing:
        """What it says of the vault at that URL. Whatever goes wrong is said, and no error."""
        try:
            found = self._read(self.resource_id, VAULT_VERSION)
            properties = _table(found, "properties")
            host = urlsplit(str(properties.get("vaultUri", ""))).hostname
            if host != urlsplit(vault).hostname:
                return Standing(unseen=f"resource_id is that of {host or 'something else'}, not of {vault}")
            sku = str(_table(properties, "sku").get("name", "")).lower()
            hardware = {"premium": True, "standard": False}.get(sku)
            path = f"{self.resource_id}/providers/Microsoft.Insights/diagnosticSettings"
            settings = self._read(path, SETTINGS_VERSION).get("value")
            if not isinstance(settings, list):
                return Standing(hardware, unseen="the answer is not Resource Manager's")
            return Standing(hardware, logged=any(map(_is_logging, settings)))
        except AdapterError as failure:
            return Standing(unseen=failure.message)

    def _read(self, path: str, version: str) -> Mapping[str, Any]:
        try:
            answer = self._client.send_request(
                HttpRequest("GET", f"{self._url}{path}", params={"api-version": version})
            )
            if answer.status_code == HTTPStatus.OK:
                return _object(answer.json())
            said = "this identity may not" if answer.status_code == HTTPStatus.FORBIDDEN else str(answer.status_code)
            failure: AdapterError = Denied(f"Resource Manager says no to {path.rpartition('/')[2]}: {said}")
        except Exception as error:  # noqa: BLE001 - the SDK raises errors of five libraries
            failure = told(error, Request(self._url, self._identity, "ask"))
        raise failure  # out here, so that the SDK's error, which may hold a token, is not the context of ours


def _is_logging(setting: object) -> bool:
    """Whether one diagnostic setting sends reads somewhere."""
    logs = _table(setting, "properties").get("logs")
    return isinstance(logs, list) and any(
        isinstance(log, dict)
        and log.get("enabled") is True
        and str(log.get("category") or log.get("categoryGroup") or "").lower() in _LOGGED
        for log in logs
    )


def _table(content: object, key: str) -> Mapping[str, Any]:
    found = content.get(key) if isinstance(content, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _object(content: object) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise TypeError("no object")
    return content
