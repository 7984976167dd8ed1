"""An ASGI application over a router, with a life of its own: it starts before the first request, and stops after."""

from abc import ABC, abstractmethod

from bus.http.routing import Receive, Router, Scope, Send, send_response


class Application(ABC):
    """Answers HTTP by its router; what it needs lives from `start` to `stop`."""

    def __init__(self, router: Router) -> None:
        self._router = router

    @abstractmethod
    async def start(self) -> None:
        """Begins what must be there before the first answer."""

    @abstractmethod
    async def stop(self) -> None:
        """Ends what `start` began."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3.0."""
        if scope["type"] == "http":
            await send_response(await self._router.respond(scope, receive), send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            raise NotImplementedError(f"the protocol '{scope['type']}' is not served")

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return
