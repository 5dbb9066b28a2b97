"""Known values in their encodings, and the scan for them."""
