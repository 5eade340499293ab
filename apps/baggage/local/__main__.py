"""`python -m baggage.local run|clean`: the laptop runtime behind `make run` and `make clean`."""

from __future__ import annotations

import argparse
import errno
import json
import os
import shutil
import subprocess
import sys

from pydantic import TypeAdapter, ValidationError

from baggage import log
from baggage.local.jars import JarError
from baggage.local.processes import ProcessError
from baggage.local.run import ENVIRONMENT_FILE, run
from baggage.local.runtime import LOCK_FILE, RuntimeStartError, state_lock
from baggage.provision.schema import SchemaError
from baggage.settings import ClockSettings, Settings, Speed, read_settings
from baggage.verify.verification import PATIENCE


def clean(settings: Settings) -> None:
    """Forget everything that was stored; raises RuntimeStartError while a run uses it."""
    directory = settings.local.state_dir.resolve()
    if not directory.exists():
        return
    with state_lock(directory):
        for path in directory.iterdir():
            if path.name == LOCK_FILE:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def verify(settings: Settings, patience: float) -> int:
    """Run `python -m baggage.verify` on the pipeline that runs, with its ports and its clock; return its exit code."""
    file = settings.local.state_dir.resolve() / ENVIRONMENT_FILE
    if not file.exists():
        sys.exit(f"error: nothing has run in {file.parent}: start it with make run")
    command = [sys.executable, "-m", "baggage.verify", "--patience", str(patience)]
    return subprocess.run(command, env={**os.environ, **json.loads(file.read_text())}, check=False).returncode  # noqa: S603


def _at_speed(clock: ClockSettings, speed: str) -> ClockSettings:
    """The clock with the speed that the command line names, if it is another than that of real time."""
    try:
        wanted = TypeAdapter(Speed).validate_python(speed)
    except ValidationError as error:
        sys.exit(f"error: SPEED={speed}: {error.errors()[0]['msg']}")
    return clock.model_copy(update={"speed": wanted}) if wanted != 1 else clock


def main() -> None:
    """Do what the arguments say; what is wrong is one line and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m baggage.local", description=__doc__)
    parser.add_argument("what", choices=("run", "verify", "clean"))
    parser.add_argument("--patience", type=float, default=PATIENCE, help="of verify: seconds without fewer differences")
    parser.add_argument("--speed", default="1", help="how fast the pipeline's clock runs; default: %(default)s")
    arguments = parser.parse_args()
    settings = read_settings()
    if arguments.what == "verify":
        sys.exit(verify(settings, arguments.patience))
    settings.clock = _at_speed(settings.clock, arguments.speed)
    log.configure(settings.log_level)
    try:
        run(settings) if arguments.what == "run" else clean(settings)
    except (RuntimeStartError, ProcessError, JarError, SchemaError) as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        directory = settings.local.state_dir
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(f"error: the disk of {directory.resolve()} is full: make room, and start it again")
        if str(directory) not in str(error.filename):
            raise
        sys.exit(f"error: BAGGAGE_LOCAL__STATE_DIR={directory}: {error.strerror}")


if __name__ == "__main__":
    main()
