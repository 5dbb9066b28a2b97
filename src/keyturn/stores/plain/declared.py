"""The two plain stores that a manifest declares."""

from keyturn.manifest.kinds.env_file import Options as EnvFileOptions
from keyturn.manifest.kinds.files_store import Options as FilesOptions
from keyturn.manifest.surroundings import Surroundings
from keyturn.stores.plain.directory import OWN, SecretFiles
from keyturn.stores.plain.env_file import EnvFile
from keyturn.stores.plain.keeping import Keeping
from keyturn.stores.plain.store import PlainStore


def files(options: FilesOptions, around: Surroundings) -> PlainStore:
    """The directory of that table; nothing is opened or made yet."""
    return PlainStore(
        SecretFiles(options.path, options.group), Keeping(options.path / OWN), lambda: around.clock.now().wall
    )


def env_file(options: EnvFileOptions, around: Surroundings) -> PlainStore:
    """The `.env` file of that table; nothing is opened or made yet."""
    own = options.path.with_name(f"{options.path.name}.keyturn")
    return PlainStore(EnvFile(options.path), Keeping(own), lambda: around.clock.now().wall)
