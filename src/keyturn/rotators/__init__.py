"""What knows one kind of target, one file per adapter."""
