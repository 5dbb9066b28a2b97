"""The agent: the face of one host's bundle and status directories, over one unix socket. It has no key of a vault."""
