"""Channels that carry findings to people, one file per channel."""
