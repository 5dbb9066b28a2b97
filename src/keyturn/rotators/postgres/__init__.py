"""PostgreSQL: two log-in roles that take turns, or one, members of one owner role that owns everything."""

from keyturn.rotators.postgres.rotator import Postgres

__all__ = ["Postgres"]
