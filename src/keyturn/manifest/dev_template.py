"""The manifest that `keyturn init --dev` writes: an application with made-up secrets, for one developer's machine."""

from keyturn.manifest.template import escaped, head

CONSUMER = "app"
_TABLES = """\
# Made by `keyturn init --dev`: every value was made up at random, and nothing outside knows it. Change names and
# templates to those that your application reads; keyturn set NAME gives a secret another value, and delivers it.

[secrets.app-key]
kind = "app-key"
owner = "developer"
purpose = "signs cookies and links"
target = {{ longest_life = "14d" }}
publish.secret-key = {{ field = "value", unsafe_alone = "a developer's machine: nothing is rotated" }}
consumers = ["{consumer}"]

[secrets.database]
kind = "manual"
fields = ["username", "password"]
owner = "developer"
purpose = "a database on this machine"
publish.database-url = {{ template = "postgresql://{{username}}:{{password}}@localhost:5432/app" }}
consumers = ["{consumer}"]

[secrets.redis]
kind = "manual"
fields = ["password"]
owner = "developer"
purpose = "a cache on this machine"
publish.redis-url = {{ template = "redis://:{{password}}@localhost:6379/0" }}
consumers = ["{consumer}"]

[secrets.api-key]
kind = "manual"
fields = ["value"]
owner = "developer"
purpose = "somebody else's service"
consumers = ["{consumer}"]

[consumers.{consumer}]
kind = "application"
bundle_dir = "{run}/{consumer}/bundle"   # written by Keyturn, read by the application
status_dir = "{run}/{consumer}/status"   # written by the application, read by Keyturn
expect = 1
"""


def dev(service: str, vault_id: str, environment: str, state: str, *, run: str) -> str:
    """The text of it.

    Args:
        service: name of the service.
        vault_id: id of the vault that was made for it.
        environment: such as `dev`.
        state: Keyturn's own directory, an absolute path.
        run: where the consumer's directory is, an absolute path.

    Raises:
        UsageError: a service or environment that is not a name.
    """
    begin = head(service, vault_id, environment, state, "", keep=", but places of this machine: do not commit it")
    return begin + _TABLES.format(consumer=CONSUMER, run=escaped(run))
