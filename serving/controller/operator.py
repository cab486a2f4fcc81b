"""The controller's process: what it watches, whether it leads, what it shows, how it ends."""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import kopf
from aiohttp import web

from components.cluster.apply import collection
from components.cluster.connection import Absent, Api
from lockgate.errors import ClusterError
from lockgate.rollout.resource import API_VERSION, GROUP, KIND, PLURAL, VERSION
from lockgate.shipping.manifest import MODEL_LABEL
from serving.controller.cluster.managed import others
from serving.controller.following import Following
from serving.controller.leader import Leader
from serving.controller.metrics import Metrics

log = logging.getLogger("lockgate.controller")
AGAIN = 5.0
# What others may change or delete; until the next look the requests would suffer.
WATCHED = (
    ("gateway.networking.k8s.io", "v1", "httproutes"),
    ("serving.kserve.io", "v1beta1", "inferenceservices"),
)
# A watch that says nothing for so long is opened anew: a stopped API server closes no connection.
SILENT_SECONDS = 60
CONNECT_SECONDS = 5


async def watch(following: Following, namespaces: Sequence[str], stop: asyncio.Event) -> None:
    """Tells of ModelRollouts that are there or change, and of what others do to their objects, until `stop`.

    A watch that is lost is opened again.
    """
    while not stop.is_set():
        try:
            await kopf.operator(
                registry=_registry(following),
                settings=_settings(),
                # Kopf would name itself after the user, which has no name in a pod.
                identity=cast(Any, "lockgate-controller"),
                namespaces=list(namespaces),
                standalone=True,
                stop_flag=stop,
            )
        except Exception as error:  # whatever ends a watch: models are looked at meanwhile
            log.warning("the watch of ModelRollouts ended, and is opened again: %s", error)
            await _pause(stop, AGAIN)
        else:
            # A signal ends it, too.
            stop.set()


async def wait_for_kind(api: Api, namespaces: Sequence[str], stop: asyncio.Event) -> None:
    """Returns when the cluster has ModelRollouts, and this account may list them."""
    while not stop.is_set():
        try:
            for namespace in namespaces:
                await asyncio.to_thread(api.get, collection(API_VERSION, PLURAL, namespace), limit="1")
        except Absent:
            log.warning("the cluster knows no %s yet; apply Lockgate's manifests", KIND)
        except ClusterError as error:
            log.warning("%s", error)
        else:
            return
        await _pause(stop, AGAIN)


async def lead(leader: Leader, stop: asyncio.Event) -> None:
    """Renews the lease until `stop`, on a thread of its own, which no slow look holds up."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix="lease") as pool:
        was_leading = False
        while not stop.is_set():
            try:
                await loop.run_in_executor(pool, leader.step)
            except ClusterError as error:
                log.warning("the lease could not be renewed: %s", error)
            if was_leading != leader.is_leading:
                was_leading = leader.is_leading
                log.info("this controller leads" if was_leading else "this controller leads no longer")
            await _pause(stop, leader.pause)


async def release(leader: Leader) -> None:
    """Lets another controller lead at once; where that cannot be written, the lease ends by itself."""
    try:
        await asyncio.to_thread(leader.release)
    except ClusterError as error:
        log.warning("the lease could not be given up, and ends by itself: %s", error)


async def show(metrics: Metrics, host: str, port: int) -> web.AppRunner:
    """Serves /metrics and /healthz."""

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def health(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    app = web.Application()
    app.add_routes([web.get("/metrics", exposition), web.get("/healthz", health)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


class Connection(kopf.ConnectionInfo):
    """Verifies the API's certificate as `components.cluster.connection` does."""

    def as_ssl_context(self) -> ssl.SSLContext:
        """Without the formal rules that many clusters' own authorities do not keep."""
        context = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def _registry(following: Following) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**given: Any) -> kopf.ConnectionInfo | None:
        found = kopf.login_via_client(**given)
        return None if found is None else Connection(**vars(found))

    # An event handler keeps no state on the objects, and needs no finalizer.
    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def changed(namespace: str | None, name: str, meta: Mapping[str, Any], **_: Any) -> None:
        following.see(namespace or "", name, dict(meta))

    for resource in WATCHED:

        @kopf.on.event(*resource, registry=registry, labels={MODEL_LABEL: kopf.PRESENT}, id=resource[-1])
        async def touched(namespace: str | None, body: Mapping[str, Any], **given: Any) -> None:
            metadata = body["metadata"]
            is_going = given["type"] == "DELETED" or "deletionTimestamp" in metadata
            if is_going or others(body):
                touch = (metadata["uid"], metadata.get("generation"), is_going)
                following.wake(namespace or "", metadata["labels"][MODEL_LABEL], touch)

    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = SILENT_SECONDS
    settings.watching.client_timeout = SILENT_SECONDS + CONNECT_SECONDS
    settings.watching.connect_timeout = CONNECT_SECONDS
    settings.networking.request_timeout = SILENT_SECONDS
    settings.networking.connect_timeout = CONNECT_SECONDS
    return settings


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
