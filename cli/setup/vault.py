"""The secrets of a site of containers: made once, and laid out in one folder for each container.

``<folder>/authority`` holds the originals and is mounted nowhere but here. Every other folder is what one container
gets to see, with nothing that it does not need; it can be made again from the originals at any time.
"""

import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from cli.setup.certificates import Authority, checked_authorities, checked_pair
from cli.setup.rights import bus_rights

SERVICES_WITH_SQL = ("catalog", "deid", "forwarding", "hl7_fhir", "tier_routing", "verification")
#: Whom modalities call.
RECEIVER = "dicom_ingest"
#: Who is called over TLS with a certificate of the hospital, by what the port is for.
CALLED = {"dicom": RECEIVER, "mllp": "hl7_fhir", "worklist": "hl7_fhir"}
#: Those that read or write copies, and so need the credentials of the targets.
TARGET_USERS = ("deid", "forwarding", "replication", "verification", "provision", "operator")
SERVICES = (*SERVICES_WITH_SQL, "dicom_ingest", "encryption", "replication")
#: Whoever asks the services' HTTP endpoints has a token of his own; the log knows him by this name.
HOLDERS = ("operator", "monitoring")

_CLUSTER = "svc.cluster.local"
#: Servers of the bus in Kubernetes.
_SERVERS = 3


@dataclass(frozen=True)
class Surroundings:
    """Where the site's containers run, as far as certificates and passwords must know."""

    site: str = "local"
    namespace: str = "causeway"
    database: str = "postgres:5432"
    #: Names or addresses by which people reach the router.
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    clouds: tuple[str, ...] = ("cloud-a", "cloud-b")
    targets: tuple[str, ...] = ("onsite", "cloud-a", "cloud-b")
    #: The systems that are forwarded to.
    destinations: tuple[str, ...] = ()
    #: Key-encryption keys and project keys to make here. Without them the services make their own, when they need
    #: one, on a volume that outlives them.
    key_domains: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()


def container(service: str) -> str:
    """What a service is called where names have no underscores."""
    return service.replace("_", "-")


@dataclass
class Vault:
    """The folder; repeating anything changes nothing but what has become wrong."""

    folder: Path
    around: Surroundings = field(default_factory=Surroundings)

    def lay_out(self) -> None:
        """Make what is missing, and every container's folder as it should be."""
        for name in SERVICES:
            self._service(name)
        self._bus()
        self._database()
        for cloud in self.around.clouds:
            self._stand_in(cloud)
        self._router()
        self._write("provision", {"causeway_nats_password": self._password("nats", "operator")})
        self._operator()
        for kind, suffix, names in (("kek", "kek", self.around.key_domains), ("projects", "key", self.around.projects)):
            self._write(kind, {f"{name}.{suffix}": self._random(f"{kind}/{name}.{suffix}") for name in names})

    def accept_credentials(self, target: str, document: str) -> None:
        """Give the credentials of a real cloud to those who use targets; ValueError when they are none."""
        given = json.loads(document)
        if not isinstance(given, dict) or not {"access_key", "secret_key"} <= given.keys():
            raise ValueError("credentials are JSON with access_key and secret_key")
        for user in TARGET_USERS:
            self._write(container(user), {f"{target}.json": document.encode()})

    def accept_certificate(self, way: str, bundle: str) -> None:
        """Give our certificate for TLS, its chain and its key to whom others call that ``way``; ValueError."""
        self._write(container(CALLED[way]), {f"{way}.pem": checked_pair(bundle)})

    def accept_clients(self, way: str, authorities: str) -> None:
        """Tell whom others call that ``way`` who signs their certificates; ValueError when these are none."""
        self._write(container(CALLED[way]), {f"{way}-clients.pem": checked_authorities(authorities)})

    def _service(self, name: str) -> None:
        certificate, key = self._certificate(name, self._names(container(name)))
        own: dict[str, bytes] = {
            "ca.crt": self._authority().certificate,
            "tls.crt": certificate,
            "tls.key": key,
            "tokens": b"".join(b"%s %s\n" % (who.encode(), self._password("tokens", who)) for who in HOLDERS),
            "site.key": self._random("site.key"),
            "causeway_nats_password": self._password("nats", name),
        }
        if name in SERVICES_WITH_SQL:
            own["causeway_database_url"] = self._database_url(name)
        self._write(container(name), own)

    def _names(self, name: str) -> tuple[str, ...]:
        inside = (name, f"{name}.{self.around.namespace}", f"{name}.{self.around.namespace}.svc")
        return (*inside, f"{name}.{self.around.namespace}.{_CLUSTER}")

    def _bus(self) -> None:
        passwords = {name: self._password("nats", name).decode() for name in (*SERVICES, "operator", "cluster")}
        login = {"user": "cluster", "password": passwords["cluster"]}
        routes = [f"nats://cluster:{passwords['cluster']}@nats-{n}.nats-headless:6222" for n in range(_SERVERS)]
        self._write(
            "nats",
            {
                "authorization.conf": bus_rights(passwords, self.around.targets, self.around.destinations).encode(),
                "cluster.conf": f"authorization {json.dumps(login)}\nroutes {json.dumps(routes)}\n".encode(),
            },
        )

    def _database(self) -> None:
        """What makes one database for each service, with a role that can enter no other's."""
        lines = ["-- Run once by the server's administrator; docker-compose does so when the database is new."]
        for name in SERVICES_WITH_SQL:
            password = self._password("postgres", name).decode()
            lines += [
                f"CREATE ROLE {name} LOGIN PASSWORD '{password}';",
                f"CREATE DATABASE {name} OWNER {name};",
                f"REVOKE ALL ON DATABASE {name} FROM PUBLIC;",
            ]
        # The server's own user reads them there; nobody else mounts this folder.
        self._write(
            "postgres",
            {"databases.sql": "\n".join(lines).encode(), "password": self._password("postgres", "administrator")},
            mode=0o644,
        )

    def _database_url(self, name: str) -> bytes:
        password = quote(self._password("postgres", name).decode(), safe="")
        return f"postgresql+psycopg://{name}:{password}@{self.around.database}/{name}".encode()

    def _stand_in(self, cloud: str) -> None:
        keys = {
            "access_key": self._password("clouds", f"{cloud}-access").decode()[:20],
            "secret_key": self._password("clouds", f"{cloud}-secret").decode(),
        }
        credentials = [{"accessKey": keys["access_key"], "secretKey": keys["secret_key"]}]
        identity = {"name": "causeway", "credentials": credentials, "actions": ["Admin"]}
        # The default filer store acknowledges a name before it is on disk; this one does not.
        store = '[leveldb2]\nenabled = false\n\n[sqlite]\nenabled = true\ndbFile = "/data/filer.db"\n'
        self._write(cloud, {"s3.json": json.dumps({"identities": [identity]}).encode(), "filer.toml": store.encode()})
        for user in TARGET_USERS:
            kept = self.folder / container(user) / f"{cloud}.json"
            if not kept.exists():  # a real cloud of this name may have been given its own
                self._write(container(user), {kept.name: json.dumps(keys).encode()})

    def _router(self) -> None:
        certificate, key = self._certificate("router", (*self._names("router"), *self.around.hosts))
        self._write("router", {"router.pem": certificate + key, "ca.crt": self._authority().certificate})

    def _operator(self) -> None:
        """A site elsewhere, as the ``causeway`` command knows it (cli/site.py)."""
        endpoints = {
            "dicom": "dicom:11112",
            "mllp": "mllp:2575",
            "http": "https://router:8443",
            "nats": "nats://nats:4222",
        }
        access = {"token": "token", "authority": "ca.crt", "bus_user": "operator", "bus_password": "bus_password"}
        state = {"ready": True, "endpoints": endpoints, "services": {}, "processes": {}, "access": access}
        self._write(
            "operator",
            {
                "site.json": json.dumps(state, indent=1).encode(),
                "ca.crt": self._authority().certificate,
                "token": self._password("tokens", "operator"),
                "bus_password": self._password("nats", "operator"),
            },
        )

    def _authority(self) -> Authority:
        folder = self.folder / "authority"
        if not (folder / "ca.key").exists():
            made = Authority.create(self.around.site)
            self._write("authority", {"ca.crt": made.certificate})
            self._write("authority", {"ca.key": made.key})
            _sync(folder / "ca.crt", folder / "ca.key", folder)
        return Authority((folder / "ca.crt").read_bytes(), (folder / "ca.key").read_bytes())

    def _certificate(self, name: str, hosts: Sequence[str]) -> tuple[bytes, bytes]:
        folder, authority = self.folder / "authority" / "certificates", self._authority()
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        if not (certificate.exists() and key.exists() and authority.still_good(certificate.read_bytes(), hosts)):
            made = authority.issue(name, hosts)
            self._write("authority/certificates", {certificate.name: made[0], key.name: made[1]})
        return certificate.read_bytes(), key.read_bytes()

    def _password(self, kind: str, name: str) -> bytes:
        return self._kept(f"{kind}/{name}", lambda: secrets.token_hex(24).encode())

    def _random(self, name: str) -> bytes:
        return self._kept(name, lambda: secrets.token_bytes(32))

    def _kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        path = self.folder / "authority" / name
        if not path.exists():
            folder = Path("authority") / name
            self._write(str(folder.parent), {path.name: make()})
            _sync(path, path.parent)
        return path.read_bytes()

    def _write(self, folder: str, files: Mapping[str, bytes], mode: int = 0o600) -> None:
        """Write what differs, each file as a whole."""
        place = self.folder / folder
        place.mkdir(parents=True, exist_ok=True, mode=0o755 if mode & 0o004 else 0o700)
        for name, content in files.items():
            path = place / name
            if not path.exists() or path.read_bytes() != content:
                _replace(path, content, mode)


def _replace(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.replace(path)


def _sync(*places: Path) -> None:
    """Make originals durable; what is laid out from them can be laid out again."""
    for place in places:
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
