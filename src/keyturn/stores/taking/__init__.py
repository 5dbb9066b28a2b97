"""What `keyturn import` reads: `.env` files, directories of secret files, files that variables name."""

from keyturn.stores.taking.directory import read_directory, read_secret_file
from keyturn.stores.taking.env import read_env
from keyturn.stores.taking.found import Entry, Found, Refusal
from keyturn.stores.taking.pem import Pem, pem
from keyturn.stores.taking.variables import follow_files

__all__ = ["Entry", "Found", "Pem", "Refusal", "follow_files", "pem", "read_directory", "read_env", "read_secret_file"]
