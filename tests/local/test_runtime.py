"""The laptop runtime, on the real servers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from confluent_kafka.admin import AdminClient

from baggage.local.__main__ import clean
from baggage.local.processes import Process, ProcessError
from baggage.local.runtime import LOCK_FILE, Runtime, RuntimeStartError, state_lock
from baggage.provision.kafka import create_topics
from baggage.provision.schema import apply_schema, connect, migrations
from baggage.provision.topics import TOPICS
from baggage.settings import LocalSettings, MonitorSettings, Settings
from tests.servers import free_ports

ROOT = Path(__file__).parents[2]


def wait_until(condition: Callable[[], bool], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come about"
        time.sleep(0.1)


def settings_for(directory: Path, clickhouse_port: int | None = None) -> Settings:
    monitor, kafka, _, clickhouse, flink, _ = free_ports(6)
    return Settings(
        monitor=MonitorSettings(port=monitor),
        local=LocalSettings(
            state_dir=directory,
            jar_dir=ROOT / LocalSettings().jar_dir,
            kafka_port=kafka,
            clickhouse_port=clickhouse_port or clickhouse,
            flink_port=flink,
        ),
    )


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with Runtime(settings_for(tmp_path_factory.mktemp("state"))) as running:
        yield running
        processes = [psutil.Process(process.pid) for process in running.processes]
    assert not any(process.is_running() for process in processes), "nothing is left"


def test_topics_are_created_once_with_their_policies(runtime: Runtime) -> None:
    assert create_topics(runtime.settings.kafka) == [topic.name for topic in TOPICS]
    assert create_topics(runtime.settings.kafka) == []
    there = AdminClient({"bootstrap.servers": runtime.settings.kafka.bootstrap_servers}).list_topics(timeout=10).topics
    assert {topic.name: topic.partitions for topic in TOPICS} == {
        name: len(there[name].partitions) for name in there if not name.startswith("__")
    }


def test_the_schema_is_applied_as_often_as_one_likes_and_each_migration_once(runtime: Runtime) -> None:
    settings = runtime.settings.clickhouse
    names = [migration.name for migration in migrations()]
    assert apply_schema(settings) == names
    assert apply_schema(settings) == []
    with connect(settings) as client:
        applied = client.query(f"SELECT name FROM {settings.database}.schema_migrations ORDER BY number").result_rows
    assert [name for (name,) in applied] == names


def test_the_engine_speaks_to_clickhouse_connect(runtime: Runtime) -> None:
    with connect(runtime.settings.clickhouse) as client:
        client.command("CREATE TABLE t (a UInt32, b String, c DateTime('UTC')) ENGINE = MergeTree ORDER BY a")
        client.insert("t", [[n, f"row {n}", n] for n in range(10_000)], column_names=["a", "b", "c"])
        assert client.query("SELECT count(), max(a) FROM t").result_rows == [(10_000, 9_999)]
        named = client.query("SELECT b FROM t WHERE a = {a:UInt32}", parameters={"a": 7})
        assert named.result_rows == [("row 7",)]
        assert client.query("SELECT b FROM t WHERE b = %(b)s", parameters={"b": "row 7"}).result_rows == [("row 7",)]


def test_a_setting_of_one_query_is_not_one_of_the_next(runtime: Runtime) -> None:
    with connect(runtime.settings.clickhouse) as client:
        query = "SELECT value FROM system.settings WHERE name = 'max_block_size'"
        before = client.query(query).result_rows
        assert client.query(query, settings={"max_block_size": 77}).result_rows == [("77",)]
        assert client.query(query).result_rows == before


def test_a_wrong_query_is_answered_as_clickhouse_does(runtime: Runtime) -> None:
    with connect(runtime.settings.clickhouse) as client, pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT * FROM nowhere")
    address = f"http://127.0.0.1:{runtime.settings.clickhouse.port}/?query=SELEC+1"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address)
    assert refused.value.code == 400
    assert refused.value.headers["X-ClickHouse-Exception-Code"] == "62"


def test_rows_in_the_body_are_inserted_as_curl_and_jdbc_send_them(runtime: Runtime) -> None:
    address = f"http://127.0.0.1:{runtime.settings.clickhouse.port}/"
    for body in (
        b"CREATE TABLE u (a UInt32, b String) ENGINE = MergeTree ORDER BY a",
        b"INSERT INTO u (a, b) VALUES ('1', 'one'), ('2', 'it''s')",
        b'INSERT INTO u FORMAT JSONEachRow\n{"a": 3, "b": "three"}\n{"a": 4, "b": "SELECT"}\n',
    ):
        urllib.request.urlopen(address, data=body).read()
    with urllib.request.urlopen(address + "?query=SELECT+a,b+FROM+u+ORDER+BY+a+FORMAT+CSV") as answer:
        assert answer.read() == b'1,"one"\n2,"it\'s"\n3,"three"\n4,"SELECT"\n'


def test_a_killed_engine_is_started_again_with_all_its_rows(runtime: Runtime) -> None:
    with connect(runtime.settings.clickhouse) as client:
        client.command("CREATE TABLE v (a UInt32) ENGINE = MergeTree ORDER BY a")
        client.insert("v", [[n] for n in range(1000)], column_names=["a"])
    killed = runtime.clickhouse.pid
    os.killpg(killed, signal.SIGKILL)
    port = runtime.settings.clickhouse.port

    def rows() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/?query=SELECT+count()+FROM+v", timeout=5) as answer:
                return bool(answer.read() == b"1000\n")
        except OSError:
            return False

    wait_until(lambda: runtime.clickhouse.pid != killed and rows())


def test_a_killed_task_manager_is_started_again(runtime: Runtime) -> None:
    task_manager = runtime.flink.task_managers[0]
    killed = task_manager.pid
    os.killpg(killed, signal.SIGKILL)
    wait_until(lambda: task_manager.pid != killed and runtime.flink.all_slots_are_there(), timeout=90)


def test_a_second_run_on_the_same_directory_is_refused(runtime: Runtime) -> None:
    with pytest.raises(RuntimeStartError, match="another run uses"):
        Runtime(runtime.settings)


def test_a_port_that_is_taken_is_named_with_its_setting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeStartError, match=f"port {port} is taken: set BAGGAGE_LOCAL__CLICKHOUSE_PORT"):
            Runtime(settings_for(tmp_path, clickhouse_port=port))


def test_a_port_that_two_settings_name_is_named_with_both(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    settings.local.clickhouse_port = settings.local.kafka_port + 1
    wanted = r"BAGGAGE_LOCAL__CLICKHOUSE_PORT and BAGGAGE_LOCAL__KAFKA_PORT \+ 1 are both \d+: set one of them"
    with pytest.raises(RuntimeStartError, match=wanted):
        Runtime(settings)


def test_a_disk_that_is_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baggage.local.runtime._DISK_BYTES", 2**62)
    with pytest.raises(RuntimeStartError, match=f"the disk of {tmp_path} has .* BAGGAGE_LOCAL__STATE_DIR"):
        Runtime(settings_for(tmp_path))


def test_a_directory_with_other_files_is_neither_used_nor_cleaned(tmp_path: Path) -> None:
    (tmp_path / "thesis").touch()
    for act in (Runtime, clean):
        with pytest.raises(RuntimeStartError, match=f"{tmp_path} holds other files than those of a run"):
            act(settings_for(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_clean_forgets_what_a_run_stored_and_follows_no_link(tmp_path: Path) -> None:
    elsewhere, state = tmp_path / "elsewhere", tmp_path / "state"
    elsewhere.mkdir()
    (elsewhere / "thesis").touch()
    state_lock(state).close()
    (state / "link").symlink_to(elsewhere)
    (state / "kafka").mkdir()
    clean(settings_for(state))
    assert [path.name for path in state.iterdir()] == [LOCK_FILE]
    assert (elsewhere / "thesis").exists()


def test_a_process_that_ends_at_its_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    process = Process("it", [sys.executable, "-c", "print('last words')"], tmp_path / "log")
    process.start()
    with pytest.raises(ProcessError, match="last words"):
        process.wait_until(lambda: False, timeout=10)


def test_a_child_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    log = str(tmp_path / "log")
    program = (
        "import sys, pathlib, time; from baggage.local.processes import Process\n"
        "command = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        f"child = Process('child', command, pathlib.Path({log!r}))\n"
        "child.start(); print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, timeout=10)
