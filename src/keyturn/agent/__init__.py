"""The local daemon that serves one host's consumers."""
