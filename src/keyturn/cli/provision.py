"""`keyturn provision`: from an empty target to the first version."""

from typing import Annotated

import typer

from keyturn.cli import say
from keyturn.cli.answer import Answer, Events, JsonOrEvents, answering
from keyturn.cli.rotating import run, running, told
from keyturn.core.errors import NotAvailable
from keyturn.core.rotator import Provisions


def command(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which secret.")],
    *,
    as_json: JsonOrEvents = False,
    as_events: Events = False,
) -> None:
    """Create what the target lacks, then make the first version.

    Creates roles and grants, and delivers the version to its consumers. May be repeated: what is
    there stays, and a secret with a version is left as it is.
    """

    def work() -> Answer:
        with running(context, as_events=as_events) as assembly:
            assembly.manifest.secret(name)
            engine = assembly.engine(name)
            rotator = assembly.rotator(name)
            if not isinstance(rotator, Provisions):
                raise NotAvailable(f"provisioning kind {rotator.kind!r}")
            done = rotator.provision()
            for line in done:
                say.note(line)
            state = engine.state()
            if state.current is not None and state.rotation is None:
                line = f"{name}: version {state.current.version} is there already"
                return Answer({"secret": name, "provisioned": list(done), "rotation": None}, (line,))
            if state.rotation is None:
                engine.begin("provision")
            answer = told(run(assembly, name, engine))
            data = {"secret": name, "provisioned": list(done), "rotation": answer.data}
            return Answer(data, answer.lines, notes=answer.notes, error=answer.error)

    answering("provision", as_json or as_events, work)
