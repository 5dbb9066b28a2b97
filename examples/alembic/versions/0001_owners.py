"""Who owns a deal."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "owners", sa.Column("deal", sa.Integer, primary_key=True), sa.Column("name", sa.Text, nullable=False)
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("owners")
