"""What applications import. Standard library only on its import path.

from keyturn.client import Secrets

secrets = Secrets.open()
url = secrets["database-url"]      # a handle: ask it each time you connect
connect(url.reveal())
"""

from keyturn.client.adoption import Holder
from keyturn.client.handle import Handle
from keyturn.client.reader import Secrets
from keyturn.client.run import Run
from keyturn.client.view import View

__all__ = ["Handle", "Holder", "Run", "Secrets", "View"]
