"""docker/Dockerfile and .dockerignore, read as far as they use the languages; anything else is an error."""

import re
import shlex
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from nautilus.local.home import ROOT

DOCKERFILE = ROOT / "docker" / "Dockerfile"
IGNORED = ROOT / ".dockerignore"
KNOWN = {"ARG", "FROM", "ENV", "RUN", "COPY", "WORKDIR", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"}


@dataclass(slots=True)
class Stage:
    """`steps` are instruction and argument, in order."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        pairs = (pair for instruction, text in self.steps if instruction == "ENV" for pair in shlex.split(text))
        return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}

    def arguments(self, instruction: str) -> list[str]:
        return [text for name, text in self.steps if name == instruction]


def stages(text: str) -> list[Stage]:
    """Every stage of a Dockerfile; raises ValueError for an instruction that is not known here."""
    found: list[Stage] = []
    for instruction, argument in _instructions(text):
        if instruction not in KNOWN:
            raise ValueError(f"{instruction} is not known; expected one of {', '.join(sorted(KNOWN))}.")
        if instruction == "FROM":
            base, _, name = argument.partition(" AS ")
            found.append(Stage(name.strip(), base.strip()))
        elif found:
            found[-1].steps.append((instruction, argument))
    return found


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(name, argument) for name, _, argument in (line.partition(" ") for line in joined.splitlines())]


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path of the repository into the build: the last pattern that fits decides."""
    sent = True
    for line in IGNORED.read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#") and _fits(path, pattern.removeprefix("!")):
            sent = pattern.startswith("!")
    return sent


def _fits(path: str, pattern: str) -> bool:
    parts = path.split("/")
    folders = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    if pattern.startswith("**/"):
        return any(fnmatch(part, pattern.removeprefix("**/")) for part in parts)
    return any(folder.count("/") == pattern.count("/") and fnmatch(folder, pattern) for folder in folders)


def copied_files(source: str) -> list[Path]:
    """The files that `COPY source ...` takes from the repository."""
    base = ROOT / source
    candidates = [base] if base.is_file() else sorted(path for path in base.rglob("*") if path.is_file())
    return [path for path in candidates if is_sent(str(path.relative_to(ROOT)))]
