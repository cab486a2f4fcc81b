"""The images that components run from on a cluster."""

from lockgate import __version__

PIPELINE_IMAGE = f"docker.io/lockgate/pipeline:{__version__}"
TRAINER_IMAGE = f"docker.io/lockgate/trainer:{__version__}"
