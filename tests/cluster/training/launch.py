"""A step's process for the tests: `python launch.py job.json NAMESPACE`; one line of JSON for every event."""

import json
import sys
from pathlib import Path

from components.cluster.connection import Api
from components.cluster.launcher import PodWorkers
from lockgate.errors import LockgateError
from lockgate.training.job import Job
from lockgate.training.state import LoopState


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def progress(state: LoopState) -> None:
    say(step=state.step)


try:
    workers = PodWorkers(Api.connect, sys.argv[2], tell=lambda line: say(line=line))
    say(restarts=workers.run(Job.load(Path(sys.argv[1])), progress))
except KeyboardInterrupt:
    say(interrupted=True)
    sys.exit(42)
except LockgateError as error:
    say(error=str(error))
    sys.exit(error.exit_code)
