"""What the Dockerfile says, without building it."""

from tests.docker.dockerfile import DOCKERFILE, copied_files, is_sent, stages

BUILD, RUNTIME = stages(DOCKERFILE.read_text())


def test_packages_are_installed_by_hash_and_never_compiled() -> None:
    (install,) = [step for step in BUILD.arguments("RUN") if "pip install" in step]
    assert "--require-hashes" in install
    assert "--only-binary :all:" in install


def test_it_runs_as_a_user_with_a_number_that_is_not_root() -> None:
    assert RUNTIME.arguments("USER") == ["10001:10001"]


def test_it_has_a_health_check() -> None:
    (check,) = RUNTIME.arguments("HEALTHCHECK")
    assert "nautilus.container_health" in check


def test_what_runs_takes_nothing_from_the_repository_itself() -> None:
    assert all(step.startswith("--from=build ") for step in RUNTIME.arguments("COPY"))


def test_every_folder_that_is_copied_is_sent_and_not_empty() -> None:
    for step in BUILD.arguments("COPY"):
        assert copied_files(step.split()[0]), step


def test_neither_secrets_nor_tests_nor_histories_are_sent() -> None:
    for path in (
        "docker/secrets/secret_key",
        "docker/.env",
        ".git/HEAD",
        "tests/plugin.py",
        "apps/risk/tests/test_a.py",
        ".venv/x",
    ):
        assert not is_sent(path), path
    for path in ("apps/risk/alerts.py", "platform/nautilus/settings.py", "docker/flower/config.py", "requirements.txt"):
        assert is_sent(path), path
