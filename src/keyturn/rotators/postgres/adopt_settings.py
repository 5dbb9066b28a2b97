"""Settings of an existing role, for the new ones to have too."""

import re
from collections.abc import Iterator

from psycopg import sql

from keyturn.rotators.postgres.adopt_rights import Wanted
from keyturn.rotators.postgres.adopt_survey import Setting, Survey

USER = "$user"
_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
"""What PostgreSQL keeps as a list of quoted names (GUC_LIST_QUOTE): a literal with commas would become one name."""
_NAMES = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|\Z)')
_DEFAULT_PATH = '"$user", public'


def settings_wanted(survey: Survey) -> Iterator[Wanted]:
    """For each setting of the first existing role, the same for each new one.

    `"$user"` in search_path stands for the owner role once sessions have become it: where a schema
    bears the existing role's name, that name is written out, for the existing role as well.
    """
    model = survey.existing[0]
    path = own_schema_path(survey, model)
    if path is not None:
        for role in (model, *survey.target.roles):
            yield _wanted(survey, Setting(role, survey.target.dbname, "search_path", _joined(path)))
    for one in survey.settings:
        here = one.dbname in {"", survey.target.dbname}
        moved = path is not None and one.name == "search_path" and one.dbname
        if one.role == model and here and one.name != "role" and not moved:
            for role in survey.target.roles:
                yield _wanted(survey, Setting(role, one.dbname, one.name, one.value))


def role_wanted(survey: Survey) -> Iterator[Wanted]:
    """Sessions in the database become the owner role."""
    owner, dbname = survey.target.owner_role, survey.target.dbname
    for role in (*survey.target.roles, *survey.existing):
        yield _wanted(survey, Setting(role, dbname, "role", owner))


def own_schema_path(survey: Survey, role: str) -> tuple[str, ...] | None:
    """The role's search_path with its own schema written out; None where it needs no change."""
    if role not in survey.homes:
        return None
    path = split_names(_effective_path(survey, role))
    return tuple(role if name == USER else name for name in path) if USER in path else None


def split_names(text: str) -> tuple[str, ...]:
    """The names of a list as PostgreSQL keeps it: bare or in double quotes, with commas between."""
    return tuple(quoted.replace('""', '"') or bare for quoted, bare in _NAMES.findall(text) if quoted or bare)


def _joined(names: tuple[str, ...]) -> str:
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def _effective_path(survey: Survey, role: str) -> str:
    def of(role: str, dbname: str) -> str | None:
        fitting = (
            one.value for one in survey.settings if (one.role, one.dbname, one.name) == (role, dbname, "search_path")
        )
        return next(fitting, None)

    this = survey.target.dbname
    for value in (of(role, this), of(role, ""), of("", this)):
        if value is not None:
            return value
    looker_has_its_own = any(one.role == survey.looker and one.name == "search_path" for one in survey.settings)
    return _DEFAULT_PATH if looker_has_its_own else survey.search_path


def _wanted(survey: Survey, wish: Setting) -> Wanted:
    have = next(
        (
            one.value
            for one in survey.settings
            if (one.role, one.dbname, one.name) == (wish.role, wish.dbname, wish.name)
        ),
        None,
    )
    same = have is not None and (
        split_names(have) == split_names(wish.value) if wish.name in _LISTS else have == wish.value
    )
    where = f" in {wish.dbname}" if wish.dbname else ""
    return Wanted(f"{wish.name} of {wish.role}{where}", _set(wish), same, have is not None and not same)


def _set(wish: Setting) -> sql.Composed:
    where = sql.SQL(" IN DATABASE {}").format(sql.Identifier(wish.dbname)) if wish.dbname else sql.SQL("")
    names = split_names(wish.value) if wish.name in _LISTS else (wish.value,)
    return sql.SQL("ALTER ROLE {}{} SET {} TO {}").format(
        sql.Identifier(wish.role),
        where,
        sql.Identifier(*wish.name.split(".")),
        sql.SQL(", ").join(map(sql.Literal, names or ("",))),
    )
