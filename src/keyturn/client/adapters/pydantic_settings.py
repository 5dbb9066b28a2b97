"""Secrets in a settings object of pydantic-settings: `KeyturnSettingsSource(settings_cls, secrets)`.

What is known of pydantic-settings 2.16 and guides this file (docs/adr/0038):

- A settings object is made once. A field that shall follow a rotation is a `LiveHandle`; a `SecretStr` keeps the
  version that it was made of, which counts as in use for as long as it is alive.
- What one source lacks, the next one gives: an old variable, or a default. So a field of a secret's type
  comes from Keyturn, or is None where it says so, or there is no settings object.
- A `ValidationError` shows what was given. So nothing leaves this source that shows itself.
"""

import types
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, NamedTuple, TypeAlias, Union, get_args, get_origin

from pydantic import (
    AliasChoices,
    BaseModel,
    InstanceOf,
    PlainSerializer,
    SecretBytes,
    SecretStr,
    WithJsonSchema,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from keyturn.client.adapters.kept import kept
from keyturn.client.handle import Handle
from keyturn.client.mask import PUBLIC
from keyturn.client.reader import Secrets
from keyturn.client.view import View
from keyturn.core.errors import NotFound, UsageError
from keyturn.core.secret import MASK, SecretValue

LiveHandle: TypeAlias = Annotated[
    Handle,
    InstanceOf(),
    PlainSerializer(lambda _: MASK, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "password", "writeOnly": True}),
]
"""The type of a field that follows rotations."""


class _Kind(Enum):
    LIVE = Handle
    TEXT = SecretStr
    BYTES = SecretBytes
    MODEL = BaseModel
    PLAIN = object


_SECRET = frozenset({_Kind.LIVE, _Kind.TEXT, _Kind.BYTES})


class _Field(NamedTuple):
    """A field by the way to it, as in `database.password`."""

    path: str
    info: FieldInfo
    kind: _Kind
    type: type
    secret: str | None
    """The secret whose bundle the model around it is; None at the top, and in any other model."""

    @property
    def keys(self) -> list[str]:
        """The keys under which sources may give it; the first one is ours."""
        alias = self.info.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        return [*(one for one in choices if isinstance(one, str)), self.path.rpartition(".")[2]]

    @property
    def optional(self) -> bool:
        """Whether it says that it may be None."""
        return not self.info.is_required() and self.info.default is None


class KeyturnSettingsSource(PydanticBaseSettingsSource):
    """A source of a settings class: its place among the others is its priority, as of every source.

    A field is found by its aliases and its name, `_` as `-` and in small letters: a published name, `secret.field`,
    or a secret whose only field is `value`. A field that is a model, with the name of a secret, is its bundle, of one
    version.

    Args:
        settings_cls: the settings class.
        secrets: the application's secrets.
        names: the name to look for, by field (`smtp_password`, or `mail.password` in a model), where it is another one.
        elsewhere: fields that other sources give, whatever their type and their name.

    Raises:
        UsageError: `names` or `elsewhere` names a field that is not there.
    """

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        secrets: Secrets,
        *,
        names: Mapping[str, str] | None = None,
        elsewhere: Collection[str] = (),
    ) -> None:
        super().__init__(settings_cls)
        self._secrets = secrets
        self._names = dict(names or {})
        self._elsewhere = frozenset(elsewhere)
        self._views: dict[str, View] = {}
        for path in (*self._names, *self._elsewhere):
            _exists(settings_cls, path)

    def field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One field at the top; None when it is not ours. Raises as a call does."""
        self._views = {}
        one = _field(field_name, field, None)
        return self._found(one, {}), one.keys[0], False

    get_field_value = field_value
    """The name by which pydantic-settings knows it."""

    def __call__(self) -> dict[str, Any]:
        """What Keyturn gives of these settings, all of one version of each secret.

        Raises:
            NotFound: a field of a secret's type is not there; names the field and the name.
            UsageError: a field would show a secret.
            Unavailable: the source could not be read for longer than `max_stale`.
        """
        while True:
            self._views = {}
            given = self._model(self.settings_cls, "", None, self.current_state)
            if all(self._secrets.bundle(name).version == view.version for name, view in self._views.items()):
                return given  # else a version came before what we keep was on the list

    def _model(self, model: type[BaseModel], path: str, secret: str | None, state: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a model that no source before this one gave."""
        given: dict[str, Any] = {}
        for name, info in model.model_fields.items():
            field = _field(f"{path}{name}", info, secret)
            before = [state[key] for key in field.keys if key in state]
            partly = field.kind is _Kind.MODEL and all(isinstance(one, dict) for one in before)
            if field.path in self._elsewhere or (before and not partly):
                continue
            found = self._found(field, before[0] if before else {})
            if found is not None or (not before and field.optional and _secret(field)):
                given[field.keys[0]] = found  # None as well: no variable takes its place
        return given

    def _found(self, field: _Field, state: Mapping[str, Any]) -> object:
        if field.kind is _Kind.MODEL:
            return self._nested(field, state)
        names = list(self._candidates(field))
        handle = next((handle for name in names if (handle := self._handle(name, field.kind))), None)
        if handle is not None:
            return self._value(field, handle)
        if field.path in self._names or (field.kind in _SECRET and not field.optional):
            wanted = " and no ".join(f"{name!r:.80}" for name in names) or "value of that name"
            raise NotFound(
                f"{self.settings_cls.__name__}.{field.path}: this application has no {wanted}",
                "declare it for this application, or say names= for another name, elsewhere= for another source",
            )
        return None

    def _nested(self, field: _Field, state: Mapping[str, Any]) -> object:
        """What is given of a model: of the bundle of a secret, or of what `names` says of its fields."""
        path = field.path
        names = [self._names[path]] if path in self._names else [] if field.secret else map(_spelled, field.keys)
        secret = next((name for name in names if name in self._secrets.names), None)
        if secret is None and path in self._names:
            raise NotFound(
                f"{self.settings_cls.__name__}.{path}: this application uses no secret {self._names[path]!r:.80}"
            )
        if secret is None and field.optional and not any(name.startswith(f"{path}.") for name in self._names):
            return None
        return self._model(field.type, f"{path}.", secret, state) or None

    def _candidates(self, field: _Field) -> Iterator[str]:
        """The names that it may have."""
        if field.path in self._names:
            yield self._names[field.path]
        elif field.secret:
            published = self._view(field.secret).published
            for key in field.keys:
                if (name := _spelled(key)) in published:
                    yield name
                yield f"{field.secret}.{key.lower().replace('-', '_')}"
        elif "." not in field.path:
            yield from map(_spelled, field.keys)

    def _handle(self, name: str, kind: _Kind) -> Handle | None:
        try:
            return self._secrets[name]
        except NotFound:
            if name in self._secrets.names and kind in _SECRET:
                raise  # it has several fields
            return None

    def _view(self, secret: str) -> View:
        """The version that all fields of these settings are of."""
        return self._views.setdefault(secret, self._secrets.bundle(secret))

    def _value(self, field: _Field, handle: Handle) -> object:
        if field.kind is _Kind.LIVE:
            return handle
        view = self._view(handle.view.secret)
        if field.kind is _Kind.PLAIN:
            return self._shown(field, view, handle.of(view))
        return self._kept(field.kind, view, handle.of(view))

    def _kept(self, kind: _Kind, view: View, value: SecretValue) -> SecretStr | SecretBytes:
        """The text, on the list of what is in use before anybody has it."""
        text: SecretStr | SecretBytes
        text = _STR(value.reveal()) if kind is _Kind.TEXT else _BYTES(value.reveal().encode())
        kept(self._secrets, view.secret).keep(text, view.version)
        return text

    def _shown(self, field: _Field, view: View, value: SecretValue) -> str:
        """The text of what is no secret by itself: a user's name, a certificate."""
        if value not in [view.bundle[name] for name in PUBLIC if name in view.bundle]:
            raise UsageError(
                f"{self.settings_cls.__name__}.{field.path} would show a secret",
                "make it a LiveHandle or a SecretStr, or say elsewhere=[field] if it is no secret of Keyturn's",
            )
        return _text(value.reveal())


def _shared(base: Any) -> Any:  # noqa: ANN401 - a class made at run time
    """The same class, whose copies are itself: whoever copies settings has the text that is on the list."""
    own = {
        "__copy__": lambda self: self,
        "__deepcopy__": lambda self, _: self,
        "__eq__": lambda self, other: isinstance(other, base) and self.get_secret_value() == other.get_secret_value(),
        "__hash__": base.__hash__,
        "__reduce__": lambda self: (base, (self.get_secret_value(),)),
    }
    return type(base.__name__, (base,), own)


_STR, _BYTES = _shared(SecretStr), _shared(SecretBytes)


def _field(path: str, info: FieldInfo, secret: str | None) -> _Field:
    for kind in (_Kind.LIVE, _Kind.TEXT, _Kind.BYTES, _Kind.MODEL):
        for found in _types(info.annotation):
            if issubclass(found, kind.value):
                return _Field(path, info, kind, found, secret)
    return _Field(path, info, _Kind.PLAIN, object, secret)


def _secret(field: _Field, seen: tuple[type, ...] = ()) -> bool:
    """Whether it is of a secret's type, or a model with such a field."""
    if field.kind is not _Kind.MODEL or field.type in seen:
        return field.kind in _SECRET
    fields = field.type.model_fields  # type: ignore[attr-defined] # a model
    return any(_secret(_field(name, info, None), (*seen, field.type)) for name, info in fields.items())


def _exists(model: type[BaseModel], path: str) -> None:
    """Whether there is such a field. Raises UsageError when there is none."""
    here: type = model
    for part in path.split("."):
        info = here.model_fields.get(part) if issubclass(here, BaseModel) else None
        if info is None:
            raise UsageError(f"{model.__name__} has no field {path!r:.80}", "names= and elsewhere= are of its fields")
        here = _field(part, info, None).type


def _types(annotation: Any) -> Iterator[type]:  # noqa: ANN401 - whatever stands behind the colon
    """The classes that an annotation names, through `Annotated`, `|` and aliases."""
    annotation = getattr(annotation, "__value__", annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _types(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for one in get_args(annotation):
            yield from _types(one)
    elif origin is None and isinstance(annotation, type):
        yield annotation


def _spelled(key: str) -> str:
    """A field's name or alias as a name of Keyturn: `DATABASE_URL` is `database-url`."""
    name, dot, field = key.lower().partition(".")
    return name.replace("_", "-") + dot + field.replace("-", "_")


def _text(text: str) -> str:
    return text
