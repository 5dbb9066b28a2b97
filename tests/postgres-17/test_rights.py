"""Rights are told on 17 as they are on the packaged version, with ADMIN OPTION beside CREATEROLE."""

from tests.live.postgres.test_postgres_rights import (
    place,
    test_a_pooler_whose_idle_sessions_may_end_needs_two_rights_more,
    test_a_role_of_another_admin_is_missed_where_createrole_is_not_enough,
    test_after_provision_nothing_is_missing,
    test_roles_that_are_not_there_yet_are_left_to_provision,
    test_what_is_taken_away_is_missed_and_its_line_gives_it_back,
)

__all__ = [
    "place",
    "test_a_pooler_whose_idle_sessions_may_end_needs_two_rights_more",
    "test_a_role_of_another_admin_is_missed_where_createrole_is_not_enough",
    "test_after_provision_nothing_is_missing",
    "test_roles_that_are_not_there_yet_are_left_to_provision",
    "test_what_is_taken_away_is_missed_and_its_line_gives_it_back",
]
