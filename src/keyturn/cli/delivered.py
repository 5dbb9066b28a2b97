"""What a consumer was delivered, for the commands that hand it on: read from its bundle, no vault opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from keyturn.cli.settings import Settings
from keyturn.client.environment import variable, variables
from keyturn.client.opening import find, source_of
from keyturn.client.sources import Generation, Source, open_source
from keyturn.core.errors import Conflict, NotAvailable, UsageError
from keyturn.core.secret import SecretValue

READS_A_BUNDLE = frozenset({"application", "compose", "job", "systemd"})
"""Kinds of consumers whose bundle `keyturn.client` reads."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where values come from, how their variables are called, and which are wanted.

    Attributes:
        source: the source, which was not looked at yet.
        env: the variable of each published name that must be there.
        only: the names that are wanted; without any, all.
        environment: whose values they must be; None where nothing says it.
        group: who may read the bundle beside its owner; None for nobody, or where nothing says it.
    """

    source: Source
    env: Mapping[str, str]
    only: tuple[str, ...] = ()
    environment: str | None = None
    group: str | None = None

    def first(self) -> Generation:
        """What lies there. Raises AdapterError where it cannot be read, or is of elsewhere."""
        generation = self.source.changed()
        assert generation is not None
        self.check(generation)
        return generation

    def check(self, generation: Generation) -> None:
        """Raise Conflict where that generation is of another environment."""
        if self.environment not in {None, generation.environment}:
            raise Conflict(f"the bundle is of {generation.environment}, the manifest of {self.environment}")

    def variables(self, generation: Generation, *, bounded: bool = True) -> Mapping[str, SecretValue]:
        """The variables of that generation, each fit to be one if `bounded`. Raises AdapterError."""
        self.check(generation)
        return variables(generation.views, self.env, self.only, bounded=bounded)


def delivered(settings: Settings, consumer: str | None, config: Path | None, only: tuple[str, ...] = ()) -> Delivered:
    """What a consumer of the manifest gets, or what a client file names.

    Raises:
        UsageError, NotAvailable: neither can be used.
    """
    if consumer is not None and config is not None:
        raise UsageError("--consumer and --config both say where the values are", "leave one of them out")
    if consumer is not None:
        return _declared(settings, consumer, only)
    configuration = find(config)
    return Delivered(source_of(configuration), configuration.env, only)


def _declared(settings: Settings, consumer: str, only: tuple[str, ...]) -> Delivered:
    """From the manifest, whose reading takes longer than all the rest."""
    from keyturn.manifest import load

    manifest = load(settings.manifest, settings.profile)
    if (table := manifest.consumers.get(consumer)) is None:
        raise UsageError(f"the manifest has no consumer {consumer!r:.80}", "keyturn consumer list")
    directory = dict(table.directories).get("bundle_dir")
    if table.kind not in READS_A_BUNDLE or directory is None:
        raise NotAvailable(f"reading the bundle of a consumer of kind {table.kind!r}")
    used = manifest.used_by(consumer)
    if not used:
        raise UsageError(f"no secret names the consumer {consumer}", f'consumers = ["{consumer}"] in each that it uses')
    published = [item for name in used for item in manifest.secrets[name].publish.items()]
    env = {name: view.env or variable(name) for name, view in published}
    source = open_source({"kind": "bundle-dir", "path": str(directory)}, used)
    return Delivered(source, env, only, manifest.environment, getattr(table, "group", None))
