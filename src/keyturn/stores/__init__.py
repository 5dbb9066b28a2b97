"""Where bundles live, one file per adapter."""
