"""The store on object storage: a real S3 protocol, spoken to a server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pytest
from fake_trials import fake_cell, fake_result

from bench.errors import UsageError
from bench.store.claims import Claim, ClaimedError, claim
from bench.store.store import Store

moto_server = pytest.importorskip("moto.server", reason="needs moto[server,s3]")
boto3 = pytest.importorskip("boto3", reason="needs boto3")
s3fs = pytest.importorskip("s3fs", reason="needs s3fs")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # one of another test would talk to its server
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bench")
    yield "s3://bench"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_a_store_in_a_bucket(bucket: str) -> None:
    address = f"{bucket}/runs/overview"
    with pytest.raises(UsageError, match="no store there"):
        Store.open(address)
    store = Store.open(address, create=True)
    assert store.hashes() == []

    results = [fake_result(fake_cell(number)) for number in range(5)]
    for result in results:
        assert store.put(result, [{"example": "Größe"}], [{"weights": [[1.0]]}])
    # Another process would see the same, listings not remembered.
    again = Store.open(address)
    assert again.hashes() == sorted(result.hash for result in results)
    assert {found.hash: found for found in again.results()} == {r.hash: r for r in results}
    assert again.predictions(results[0].hash) == [{"example": "Größe"}]
    assert again.traces(results[0].hash) == [{"weights": [[1.0]]}]
    with pytest.raises(KeyError):
        again.get("0" * 64)

    boto3.client("s3").put_object(
        Bucket="bench", Key=f"runs/overview/trials/{results[0].hash}.json", Body=b"{"
    )
    problems: list[object] = []
    assert len(list(again.results(problems))) == 4  # type: ignore[arg-type]
    assert results[0].hash in str(problems[0])

    with pytest.raises(UsageError, match="cannot be written") as caught:
        Store.open("s3://nosuchbucket/x", create=True)
    assert "s3://nosuchbucket/x" in str(caught.value)


def test_a_bucket_lets_one_writer_claim_a_cell(bucket: str) -> None:
    store = Store.open(f"{bucket}/runs/claims", create=True)
    hash = fake_cell(1).hash
    record = asdict(Claim.of_this_process("mine"))
    assert store.create_claim(hash, 0, record)
    assert not Store.open(f"{bucket}/runs/claims", create=True).create_claim(hash, 0, record)
    with pytest.raises(ClaimedError):
        claim(store, hash, "another")
