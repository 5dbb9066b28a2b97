"""What applications import. Standard library only on its import path."""
