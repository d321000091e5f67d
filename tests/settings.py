"""The settings with a complete environment, for pytest, mypy and checks."""

import os
import sys

if "pytest" in sys.modules:
    from tests.servers import servers_of_this_run

    environment = servers_of_this_run().environment()
else:  # a static check: nothing is connected to
    environment = {"TRANSCODER_SECRET_KEY": "only-for-checks-" * 4}

for _name in [name for name in os.environ if name.startswith("TRANSCODER_")]:
    del os.environ[_name]  # a developer's own settings are no part of a test
os.environ.update(environment)

from transcoder_site.settings import *  # noqa: E402, F403 - only now is the environment complete

MIDDLEWARE.insert(0, "tests.conformance.ConformingResponses")  # noqa: F405
if "pytest" not in sys.modules:
    DATABASES.clear()  # noqa: F405 - so that looking for missing migrations does not look for a server
else:
    DATABASES["default"]["ENGINE"] = "tests.postgresql"  # noqa: F405
    PASSWORD_HASHERS = ["tests.passwords.QuickHasher"]
    DATABASES["default"]["OPTIONS"].pop("options")  # noqa: F405 - many a test is a single transaction
