"""Run by the WebUI before it starts: adds the packages that are missing, and moves none that is there.

Whatever goes wrong here, the WebUI starts; the samplers need no package of their own.
"""

import importlib.metadata
import importlib.util
import platform
import sys

REQUIRED = {"deap": "1.4.3"}
OPTIONAL = {"flip-evaluator": ("1.7", "flip_evaluator")}
FLIP_WHEELS = {("Linux", "x86_64"), ("Windows", "AMD64"), ("Darwin", "arm64")}


def installed(name: str) -> bool:
    """True if a distribution is there, in whatever version."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def missing() -> list[str]:
    """Requirements, with their versions, of what is not there and can be had without a compiler."""
    wanted = [f"{name}=={version}" for name, version in REQUIRED.items() if not installed(name)]
    has_wheel = (platform.system(), platform.machine()) in FLIP_WHEELS and sys.version_info < (3, 14)
    for name, (version, module) in OPTIONAL.items():
        if has_wheel and importlib.util.find_spec(module) is None:
            wanted.append(f"{name}=={version}")
    return wanted


def main() -> None:
    """Install what is missing, each by itself and without its dependencies: those are the host's own."""
    import launch

    for requirement in missing():
        try:
            launch.run_pip(f"install --no-deps {requirement}", f"requirement for Prompt pinning: {requirement}")
        except Exception as error:  # the host's start must not fail for an extension's sake
            print(f"Prompt pinning: {requirement} could not be installed: {error}")


if __name__ == "__main__":
    main()
