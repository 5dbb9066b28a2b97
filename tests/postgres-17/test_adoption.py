"""Adopting on 17, where a membership has options and an admin needs them."""

from tests.live.postgres.lived_in import LivedIn
from tests.live.postgres.test_adopt_verify import (
    lived_in,
    open_parts,
    other,
    shop,
    test_missing_role,
    test_missing_statements,
    test_what_differs,
    without,
)

__all__ = ["lived_in", "other", "shop", "test_missing_role", "test_missing_statements", "test_what_differs"]


def test_membership_that_inherits_nothing(shop: LivedIn) -> None:
    """A membership of the old role without INHERIT or SET would take its access away: verify sees it."""
    for option in ("INHERIT", "SET"):
        shop.server.execute(shop.statement(f"GRANT {{owner}} TO {{app}} WITH {option} FALSE"))
        found = shop.look()
        assert open_parts(found) == {"membership"}
        assert shop.psql(found.script).returncode == 0
        assert shop.look().complete


def test_admin_needs_the_option(shop: LivedIn) -> None:
    """Without ADMIN OPTION on both roles the admin could change neither: verify sees it, the next script grants it."""
    shop.server.execute(shop.statement("REVOKE {slot} FROM {admin}"))
    found = shop.look()
    assert open_parts(found) == {"admin"}
    assert open_parts(shop.rotator().adoption((shop.app,), shop.server.superuser)) == set()
    assert shop.psql(without(found.script, "admin", shop.slots[1])).returncode == 0
    assert shop.look().complete
    rotator = shop.rotator()
    assert all("is there" in line for line in rotator.provision())
    for fence, slot in enumerate(shop.slots, 1):
        bundle = rotator.generate(slot)
        rotator.apply(bundle, fence)
        with shop.session(bundle) as session:
            shop.works(session)
