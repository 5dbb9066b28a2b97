"""Values in the clear, in plain files or in a `.env` file, with the history of a store beside them (docs/stores)."""

from keyturn.stores.plain.directory import SecretFiles
from keyturn.stores.plain.env_file import EnvFile
from keyturn.stores.plain.store import FOREIGN, PlainStore

__all__ = ["FOREIGN", "EnvFile", "PlainStore", "SecretFiles"]
