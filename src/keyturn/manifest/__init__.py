"""keyturn.toml to frozen objects, with positions for every complaint."""
