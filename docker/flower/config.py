# Flower's settings in a container: it takes its password from a file by no option of its own.
from pathlib import Path

address = "0.0.0.0"  # noqa: S104 - the container's; the host's port is on loopback
port = 5555
basic_auth = [Path("/run/secrets/flower_basic_auth").read_text().strip()]
