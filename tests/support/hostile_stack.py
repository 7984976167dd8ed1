"""A stack of one's own whose broker and database are reached through toxic proxies, and may be killed."""

from contextlib import contextmanager
from urllib.parse import urlsplit

from toxic_proxy import ToxicProxy

from deploy.local.kafka import Broker, BrokerPorts
from deploy.local.process import free_ports
from deploy.local.stack import Stack


class ProxiedBroker(Broker):
    """A broker that tells its clients to come through a proxy."""

    def __init__(self, folder, ports, *, proxy_port):
        super().__init__(folder, ports)
        self._own_port = ports.client
        self._proxy_port = proxy_port

    def _write_settings(self):
        super()._write_settings()
        place = self._folder / "server.properties"
        own, proxied = (
            f"advertised.listeners=CLIENT://127.0.0.1:{port}" for port in (self._own_port, self._proxy_port)
        )
        place.write_text(place.read_text().replace(own, proxied))


class HostileStack(Stack):
    """The parts, and the proxies before them: `before_kafka`, `before_postgres`."""

    def __init__(self, folder):
        super().__init__(folder)
        [proxy_port] = free_ports(1)
        self.before_kafka = ToxicProxy(proxy_port, to=self.ports["kafka"])
        ports = BrokerPorts(client=self.ports["kafka"], controller=self.ports["controller"])
        self.broker = ProxiedBroker(self.folder / "kafka", ports, proxy_port=proxy_port)
        self.before_postgres = ToxicProxy(0, to=self.ports["postgres"])

    def reach(self, database_url):
        """Where workers find the broker and a database: behind the proxies."""
        parts = urlsplit(database_url)
        host = f"{parts.username}:{parts.password}@127.0.0.1:{self.before_postgres.port}"
        return f"127.0.0.1:{self.before_kafka.port}", parts._replace(netloc=host).geturl()


@contextmanager
def hostile_stack(folder):
    """The stack, running."""
    with HostileStack(folder) as stack:
        try:
            yield stack
        finally:
            stack.before_kafka.close()
            stack.before_postgres.close()
