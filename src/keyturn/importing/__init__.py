"""What a team has before it has Keyturn: entries that were found, and the manifest, into a plan. No I/O, no clock.

`leads` says where a name leads, `parting` takes a value apart into fields, `judging` looks at values, `pairs` at keys
and certificates, `bundling` makes one bundle, `drafting` the plan, `leaving` says which plain files may go afterwards.
"""
