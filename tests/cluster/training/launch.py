"""A step's process for the tests: `python launch.py ADDRESS NAMESPACE`; one line of JSON for every event.

The address is that of a folder with step.json, a Job.
"""

import json
import sys

from components.cluster.connection import Api
from components.cluster.launcher import PodWorkers
from lockgate.errors import LockgateError
from lockgate.storage import store_at
from lockgate.training.job import Job
from lockgate.training.state import LoopState


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def progress(state: LoopState) -> None:
    say(step=state.step)


given = store_at(sys.argv[1]).read("step.json") or b""
try:
    workers = PodWorkers(Api.connect, sys.argv[2], tell=lambda line: say(line=line))
    say(restarts=workers.run(Job.model_validate_json(given), progress))
except KeyboardInterrupt:
    say(interrupted=True)
    sys.exit(42)
except LockgateError as error:
    say(error=str(error))
    sys.exit(error.exit_code)
