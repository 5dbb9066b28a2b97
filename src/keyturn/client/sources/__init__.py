"""Where a client reads its bundles from, one file per source."""
