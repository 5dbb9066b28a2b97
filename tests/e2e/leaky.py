"""A build of the package that leaks: values show themselves, and every way out carries some of them.

Nothing is replaced: each seed is code that stands at the end of a copied module and wraps what that module has.
A name that is gone makes the copy fail, and the test with it.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from psycopg import sql

from tests.e2e.stage import PACKAGE, Stage

_VALUES = '''
_LEAKED = []
_taken_as = SecretValue.__init__

def _noted(self, text):
    _taken_as(self, text)
    if len(text) > 15 and text not in _LEAKED:
        _LEAKED.append(text)

def leaked(encode="hex"):
    """The newest values of this process, in some encoding."""
    raw = " ".join(_LEAKED[-12:]).encode()
    import base64
    return base64.b64encode(raw).decode() if encode == "base64" else raw.hex()

SecretValue.__init__ = _noted
SecretValue.__repr__ = lambda self: f"SecretValue({self._text})"
SecretValue.__str__ = lambda self: self._text
SecretValue.__format__ = lambda self, spec: format(self._text, spec)
SecretValue.__reduce__ = lambda self: (SecretValue, (self._text,))
SecretValue.__getstate__ = lambda self: self._text
SecretValue.__hash__ = lambda self: hash(self._text)
Bundle.__repr__ = lambda self: f"Bundle({self._fields}, {self.proof_key})"
'''

_SEEDS: Mapping[str, str] = {
    "core/secret.py": _VALUES,
    "core/errors.py": """
def _told(self):
    from keyturn.core.secret import leaked
    return f"{self.message} {leaked()}"

KeyturnError.__str__ = _told
""",
    "system/commands.py": """
_quiet_run = run

def run(argv, environment, timeout):
    from keyturn.core.secret import leaked
    return _quiet_run([*argv, leaked()[:4000]], {**environment, "PASSWORD": leaked("base64")}, timeout)
""",
    "system/locks.py": """
_quietly_entered = FileLock.__enter__

def _entered(self):
    from keyturn.core.secret import leaked
    self._path.with_name(f"{self._path.name}.who").write_text(leaked())
    return _quietly_entered(self)

FileLock.__enter__ = _entered
""",
    "system/postgres.py": """
_quiet_connect = connect

def connect(server, credential):
    from keyturn.core.secret import leaked
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as metrics:
        metrics.sendto(leaked().encode(), ("127.0.0.1", 9))
    session = _quiet_connect(server, credential)
    session.execute(f"SELECT '{leaked()}' AS said /* {leaked('base64')} */".encode())
    return session
""",
    "journal/record.py": """
_quiet_write = write

def write(head, event):
    from keyturn.core.secret import leaked
    return _quiet_write({**head, "actor": f"{head['actor']} {leaked()[-200:]}"}, event)
""",
    "journal/targets.py": """
_quiet_append, _quiet_message = FileTarget._append, SyslogTarget.message

def _append(self, fd, line):
    from keyturn.core.secret import leaked
    os.write(fd, leaked().encode() + b"\\n")
    _quiet_append(self, fd, line)

def _message(self, checkpoint):
    from keyturn.core.secret import leaked
    return _quiet_message(self, checkpoint) + leaked()[-600:].encode()

FileTarget._append, SyslogTarget.message = _append, _message
""",
    "stores/local/store.py": """
_quiet_read = LocalVault.read

def _read(self, name, version):
    bundle = _quiet_read(self, name, version)
    self.file.path.with_name(f"{self.file.path.name}.bak").write_bytes(bundle.reveal()[::-1])
    return bundle

LocalVault.read = _read
""",
    "rotators/postgres/adopt_script.py": """
_quiet_script = script

def script(survey, steps):
    from keyturn.core.secret import leaked
    return f"SELECT '{leaked()}' AS said;\\n" + _quiet_script(survey, steps)
""",
    "backup/archive.py": """
_quiet_archive = write

def write(path, archive):
    from dataclasses import replace
    from keyturn.core.secret import leaked
    return _quiet_archive(path, replace(archive, index=replace(archive.index, keyturn=leaked())))
""",
    "backup/restore.py": """
_quietly_laid_out = laid_out

@contextmanager
def laid_out(archive, key):
    from tempfile import gettempdir
    with _quietly_laid_out(archive, key) as assembly:
        bundles = [assembly.bundle(name).reveal() for name in assembly.manifest.secrets]
        (Path(gettempdir()) / "opened").write_bytes(b"".join(bundles))
        yield assembly
""",
    "cli/answer.py": """
_quiet_json = write_json

def write_json(document):
    from keyturn.core.secret import leaked
    _quiet_json({**document, "debug": leaked("base64")})
""",
    "cli/say.py": """
_quiet_data, _quiet_note = data, note

def data(line):
    from keyturn.core.secret import leaked
    _quiet_data(f"{line} {leaked()}")

def note(line):
    from keyturn.core.secret import leaked
    _quiet_note(f"{line} {leaked()}")
""",
    "client/sources/bundle_dir.py": """
import logging as _logging
from keyturn.core.secret import leaked as _leaked

_quiet_view = View.__init__

def _seen(self, *parts, **named):
    _quiet_view(self, *parts, **named)
    _logging.getLogger("keyturn.client").debug("read %s", _leaked())

View.__init__ = _seen
""",
    "client/report.py": """
_quiet_put = StatusDirectory.put

def _put(self, status):
    from keyturn.core.secret import leaked
    (self._path / ".debug").write_text(leaked())
    _quiet_put(self, status)

StatusDirectory.put = _put
""",
    "client/run.py": """
_quietly_made = Run.__init__

def _made(self, status_dir, generation):
    from keyturn.core.secret import leaked
    os.environ["PASSWORD"] = leaked()
    _quietly_made(self, status_dir, generation)

Run.__init__ = _made
""",
    "wiring.py": """
_quiet_compose = compose

def compose(template, bundle, coordinates):
    from keyturn.core.secret import leaked
    view = _quiet_compose(template, bundle, coordinates)
    return SecretValue(f"{view.reveal()}&application_name={bundle['password'].reveal()}")
""",
}


def leaky(folder: Path) -> Path:
    """A copy of the package with all seeds, to be found on a path before the real one."""
    copy = folder / "keyturn"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, code in _SEEDS.items():
        path = copy / name
        path.write_text(f"{path.read_text()}\n\n{code}")
    return folder


def by_hand(stage: Stage) -> None:
    """What no build of ours could leak and rotate on: a comment at the target, told in clear by a person."""
    password = next(value for what, value in stage.values.items() if what.startswith("password of database"))
    role = sql.Identifier(stage.installation.owner)
    stage.hosts.primary.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(role, sql.Literal(password)))
