"""What the steps' pods ask of a cluster; the local runner ignores it."""

from kfp import dsl

# Memory and CPU of each step. Memory is the peak that was measured on the flights (336,776 rows), and at
# least a quarter more; there is no limit, because other data needs more.
REQUESTS = {
    "collect": ("768Mi", "500m"),
    "validate": ("1Gi", "500m"),
    "transform": ("1280Mi", "500m"),
    "tune": ("2Gi", "1"),
    "train": ("2304Mi", "1"),
    "evaluate": ("1280Mi", "500m"),
    "check-serving": ("2176Mi", "1"),
    "push": ("512Mi", "100m"),
}


def sized(*tasks: dsl.PipelineTask) -> None:
    """Gives each task what its pod requests."""
    for task in tasks:
        memory, cpu = REQUESTS[task.name]
        task.set_memory_request(memory).set_cpu_request(cpu)
