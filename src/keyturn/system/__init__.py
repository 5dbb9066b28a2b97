"""The machine underneath: files, processes, TLS, PostgreSQL connections, signals. No domain words."""
