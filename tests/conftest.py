"""How property tests draw: the same input every time in `make test`, fresh input in `make fuzz`."""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, database=None, deadline=None, print_blob=True)
settings.register_profile("fuzz", max_examples=5000, database=None, deadline=None, print_blob=True)
settings.load_profile("steady")
