"""A Celery application whose database and broker credentials change under it (docs/recipes/celery.md).

celery --app celery_tasks worker --pool prefork --concurrency 2
"""

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown
from redis import CredentialProvider
from redis.connection import parse_url
from sqlalchemy import Engine, text

from keyturn.client import Secrets
from keyturn.client.adapters.sqlalchemy_engine import live_engine

secrets = Secrets.open()  # before the fork: each child gets threads and an instance of its own
engines: list[Engine] = []


class Broker(CredentialProvider):
    """What each new connection to Redis logs in with: the version that reads give at that moment."""

    def credential(self) -> tuple[str, str]:
        """User and password."""
        found = parse_url(secrets["redis-url"].reveal())
        return found["username"], found["password"]

    get_credentials = credential  # the name by which redis-py calls it


def place() -> str:
    """Where the broker is: the published URL without its credential, and with who is asked for one."""
    found = parse_url(secrets["redis-url"].reveal())
    return f"redis://{found['host']}:{found['port']}/{found['db']}?credential_provider={__name__}.Broker"


app = Celery("deals", broker=place(), backend=place())
app.conf.task_acks_late = True  # a task of a child that dies is done again by another
app.conf.broker_connection_retry_on_startup = True


@worker_process_init.connect
def open_engine(**_: object) -> None:
    """An engine is opened in the child, never before the fork: two processes must not share a connection."""
    engines.append(live_engine(secrets, "database-url", pool_size=1))


@worker_process_shutdown.connect
def close_engine(**_: object) -> None:
    """A child says that it uses nothing any more."""
    for engine in engines:
        engine.dispose()
    secrets.close()


@app.task
def sign(deal: int) -> str:
    """Write a deal down; whose connection did it."""
    with engines[0].begin() as connection:
        connection.execute(text("INSERT INTO deals VALUES (:deal)"), {"deal": deal})
        return str(connection.scalar(text("SELECT session_user")))
