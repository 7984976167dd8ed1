import pytest
from certificates import Authority

from bus.client_file import read_client_file, write_client_file
from bus.errors import SettingError
from bus.http.tls import read_tls_settings
from bus.kafka import kafka_connection
from bus.settings import Mode, read_settings
from deploy.production import check_listener, check_production

FAR = {
    "KAFKA_BOOTSTRAP": "broker-1.example:9093,broker-2.example:9093",
    "DATABASE_URL": "postgresql://me:word@views.example/yekbar?sslmode=verify-full",
    "SCHEMA_REGISTRY_URL": "https://registry.example",
    "YEKBAR_DOMAIN_KEY": "00" * 32,
}
NEAR = {
    **FAR,
    "KAFKA_BOOTSTRAP": "127.0.0.1:9092,[::1]:9092,localhost:9092",
    "DATABASE_URL": "postgresql://me:word@127.0.0.1/yekbar",
    "SCHEMA_REGISTRY_URL": "http://127.0.0.1:8081",
}
SASL = {"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "yekbar", "sasl.password": "word"}
ENCRYPTED = {"security.protocol": "SASL_SSL", **SASL}
IN_CLEAR = {"security.protocol": "SASL_PLAINTEXT", **SASL}
CERTIFIED = {"security.protocol": "SSL", "ssl.certificate.location": "/a.pem", "ssl.key.location": "/a.key"}


def check(environment, properties, tmp_path):
    place = tmp_path / "client.properties"
    if properties is not None:
        write_client_file(place, properties)
        environment = {**environment, "KAFKA_CLIENT_FILE": str(place)}
    check_production(read_settings(environment), kafka_connection(environment["KAFKA_BOOTSTRAP"], environment))


@pytest.mark.parametrize(
    ("environment", "properties"), [(FAR, ENCRYPTED), (FAR, CERTIFIED), (NEAR, IN_CLEAR), (NEAR, ENCRYPTED)]
)
def test_what_is_encrypted_or_stays_on_this_machine_is_fit_for_production(environment, properties, tmp_path):
    check(environment, properties, tmp_path)


@pytest.mark.parametrize(
    ("changes", "properties", "told"),
    [
        ({}, None, "must know who comes"),
        ({}, {"security.protocol": "SSL"}, "must know who comes"),
        ({"KAFKA_BOOTSTRAP": "127.0.0.1:9092"}, {"security.protocol": "PLAINTEXT"}, "must know who comes"),
        ({}, IN_CLEAR, "KAFKA_BOOTSTRAP in clear"),
        ({"KAFKA_BOOTSTRAP": "127.0.0.1:9092,broker.example:9092"}, IN_CLEAR, "KAFKA_BOOTSTRAP in clear"),
        ({"DATABASE_URL": "postgresql://me:word@views.example/yekbar"}, ENCRYPTED, "DATABASE_URL in clear"),
        ({"DATABASE_URL": "postgresql://me:word@a,b/yekbar?sslmode=require"}, ENCRYPTED, "DATABASE_URL in clear"),
        ({"SCHEMA_REGISTRY_URL": "http://registry.example"}, ENCRYPTED, "SCHEMA_REGISTRY_URL is not asked in clear"),
    ],
)
def test_production_mode_refuses_what_others_could_read_or_enter(changes, properties, told, tmp_path):
    with pytest.raises(SettingError, match=told) as refused:
        check({**FAR, **changes}, properties, tmp_path)

    assert "word" not in str(refused.value)


def test_development_mode_takes_all_of_it(tmp_path):
    in_clear = {"DATABASE_URL": "postgresql://views.example/yekbar", "SCHEMA_REGISTRY_URL": "http://registry.example"}

    check({**FAR, **in_clear, "YEKBAR_MODE": "development"}, None, tmp_path)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "evidence.example"])
def test_a_door_in_clear_is_for_this_machine_alone(host):
    check_listener(Mode.DEVELOPMENT, host, None)
    check_listener(Mode.PRODUCTION, "127.0.0.1", None)

    with pytest.raises(SettingError, match="YEKBAR_TLS_CERTIFICATE"):
        check_listener(Mode.PRODUCTION, host, None)


def test_a_door_with_a_certificate_may_be_anywhere(tmp_path):
    issued = Authority(tmp_path).issue("door")
    settings = {"YEKBAR_TLS_CERTIFICATE": str(issued.certificate), "YEKBAR_TLS_KEY": str(issued.key)}

    check_listener(Mode.PRODUCTION, "0.0.0.0", read_tls_settings(settings))


def test_a_certificate_without_its_key_or_with_another_is_told_at_once(tmp_path):
    authority = Authority(tmp_path)
    one, other = authority.issue("one"), authority.issue("other")

    with pytest.raises(SettingError, match="YEKBAR_TLS_KEY"):
        read_tls_settings({"YEKBAR_TLS_CERTIFICATE": str(one.certificate)})
    with pytest.raises(SettingError, match="TLS cannot work"):
        read_tls_settings({"YEKBAR_TLS_CERTIFICATE": str(one.certificate), "YEKBAR_TLS_KEY": str(other.key)})
    assert read_tls_settings({}) is None


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("security.protocol=SASL_SSL\nssl.endpoint.identification.algorithm=none\n", "identification"),
        ("enable.ssl.certificate.verification=false\nsecurity.protocol=SSL\n", "verification"),
        ("sasl.username=a\nsasl.password=hidden\n", "no security.protocol"),
        ("security.protocol=HIDDEN\n", "no security.protocol"),
    ],
)
def test_a_client_file_cannot_switch_a_check_off_and_its_secrets_are_not_told(said, told, tmp_path):
    place = tmp_path / "client.properties"
    place.write_text(said)

    with pytest.raises(SettingError, match=told) as refused:
        read_client_file(place)

    assert "hidden" not in str(refused.value).lower()


def test_a_client_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingError, match="KAFKA_CLIENT_FILE"):
        kafka_connection("127.0.0.1:1", {"KAFKA_CLIENT_FILE": str(tmp_path / "none")})
