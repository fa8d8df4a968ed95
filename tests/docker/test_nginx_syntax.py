import subprocess

from tests.docker.names import program
from tests.docker.proxied import NGINX_FILES


def test_nginx_takes_the_files_as_they_are() -> None:
    done = subprocess.run(
        [program("nginx"), "-t", "-c", str(NGINX_FILES / "nginx.conf")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr
