"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# How long an example takes says something about the machine, not about the code: no test is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# What the user of this machine has set up is none of the tests' business.
os.environ["XDG_CONFIG_HOME"] = "/nonexistent"
for _name in ("TAPEWIRE_PROFILE", "TAPEWIRE_PROXY", "TAPEWIRE_CA_FILE"):
    os.environ.pop(_name, None)
