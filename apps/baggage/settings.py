"""Every setting, in one place: the environment variables BAGGAGE_*, nested with __ (design: Top level).

A program reads them once, at its start, with `read_settings`, which ends it where one is wrong. The defaults are the
numbers of the specification; its fixed rules (35 + 10 minutes, 95 %, ...) are constants of `baggage.domain`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import to_jsonable_python
from pydantic_settings import BaseSettings, SettingsConfigDict

from baggage.clock import Clock
from baggage.domain.records import FIRST_YEAR, LAST_YEAR

_PREFIX = "BAGGAGE_"
_DELIMITER = "__"
_MAX_SHOWN = 80

Airport = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
HostAndPort = r"[A-Za-z0-9.\-]+:\d{1,5}"
Minutes = Annotated[float, Field(ge=0, le=24 * 60)]
# The plan has onward flights until the end of the next day.
ConnectionMinutes = Annotated[float, Field(ge=0, le=12 * 60)]
PositiveMinutes = Annotated[float, Field(gt=0, le=24 * 60)]
Port = Annotated[int, Field(ge=1, le=65535)]
# The next one is used, too.
TwoPorts = Annotated[int, Field(ge=1, le=65534)]
Name = Annotated[str, Field(min_length=1)]
Rate = Annotated[float, Field(ge=0, le=1)]
Speed = Annotated[float, Field(gt=0, le=10_000)]


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from None
    except RecursionError:
        raise ValueError("must be JSON: it is nested too deep") from None


def _of_this_century(value: dt.datetime) -> dt.datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ValueError(f"the year must be from {FIRST_YEAR} to {LAST_YEAR}")
    return value


Moment = Annotated[AwareDatetime, AfterValidator(_of_this_century)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ClockSettings(_Section):
    """The pipeline's clock (design: Clock). `anchor` and `started` are needed at any speed but 1."""

    speed: Speed = 1.0
    anchor: Moment | None = None
    started: Moment | None = None

    @model_validator(mode="after")
    def _anchored(self) -> Self:
        if (self.anchor is None) != (self.started is None):
            raise ValueError("set both BAGGAGE_CLOCK__ANCHOR and BAGGAGE_CLOCK__STARTED, or neither")
        if self.speed != 1 and self.anchor is None:
            raise ValueError("BAGGAGE_CLOCK__SPEED needs BAGGAGE_CLOCK__ANCHOR and BAGGAGE_CLOCK__STARTED")
        return self

    def clock(self) -> Clock:
        """The clock that these settings describe."""
        return Clock(self.speed, self.anchor, self.started)


class KafkaSettings(_Section):
    """The broker, and how topics are created on it."""

    bootstrap_servers: str = Field(default="127.0.0.1:9092", pattern=rf"^{HostAndPort}(,{HostAndPort})*$")
    replication_factor: int = Field(default=1, ge=1)
    min_insync_replicas: int = Field(default=1, ge=1)
    # Of the user `feeds`, who may write the feeds' topics.
    feeds_password: SecretStr | None = Field(default=None, min_length=8)
    # Of one broker: the topics are bounded to shares of it (baggage.provision.topics).
    disk_bytes: int = Field(default=8 * 2**30, ge=2**28)

    @model_validator(mode="after")
    def _replicas(self) -> Self:
        if self.min_insync_replicas > self.replication_factor:
            insync, factor = (_variable("kafka", name) for name in ("min_insync_replicas", "replication_factor"))
            raise ValueError(f"{insync} must not be more than {factor}: nothing could be written")
        return self


class ClickHouseSettings(_Section):
    """The ClickHouse HTTP interface."""

    host: Name = "127.0.0.1"
    port: Port = 8123
    user: Name = "default"
    password: SecretStr = SecretStr("")
    # A file that holds it, read for each connection: a password that is changed there needs no other process.
    password_file: Path | None = None
    database: str = Field(default="baggage_poc", pattern=r"^[a-z][a-z0-9_]*$")
    # ClickHouse's own block compression, which the real server speaks and the bare engine does not.
    compress: bool = True

    def secret(self) -> str:
        """The password of this moment. Raises OSError if its file cannot be read."""
        return self.password_file.read_text().strip() if self.password_file else self.password.get_secret_value()


class FlinkSettings(_Section):
    """The Flink session cluster and how jobs run on it (specification section 6, common settings)."""

    rest_url: str = Field(default="http://127.0.0.1:8081", pattern=r"^https?://[^\s/]+/?$")
    parallelism: int = Field(default=1, ge=1)
    state_dir: str = Field(default="file:///tmp/baggage-flink", pattern=r"^[a-z][a-z0-9]*://\S+$")
    # After three minutes without a checkpoint something is wrong (views.sql).
    checkpoint_interval: dt.timedelta = Field(
        default=dt.timedelta(seconds=30), ge=dt.timedelta(seconds=1), le=dt.timedelta(minutes=2)
    )
    # Further Flink options of every job, e.g. python.executable where the cluster's Python is another.
    job_options: Annotated[dict[str, str], BeforeValidator(_from_json)] = {}


class RulesSettings(_Section):
    """Choices among the rules; the rules themselves are in `baggage.domain`."""

    # For sites where level 1 alarms are routine: an alarm that is cleared is no exception any more.
    cleared_ends_exception: bool = False


class GeneratorSettings(_Section):
    """The mock day (specification section 9). Minutes are minutes of the pipeline's time."""

    seed: int = Field(default=1, ge=0)
    airport: Airport = "LHR"
    hub: Airport = "AMS"
    flights: int = Field(default=120, ge=24, le=2_000)

    passengers_mean: float = Field(default=160, ge=1, le=1_000)
    passengers_std: float = Field(default=30, ge=0)
    passengers_min: int = Field(default=80, ge=1)
    passengers_max: int = Field(default=240, le=1_000)
    # Probability of 0, 1, 2, 3 bags for one passenger.
    bags_per_passenger: Annotated[tuple[Rate, Rate, Rate, Rate], BeforeValidator(_from_json)] = (0.15, 0.55, 0.25, 0.05)

    transfer_ratio: Rate = 0.30
    connection_mean_min: ConnectionMinutes = 80
    connection_std_min: ConnectionMinutes = 20
    connection_min_min: ConnectionMinutes = 45
    connection_max_min: ConnectionMinutes = 180

    # How long before departure bags are closed; at the hub less, or the shortest connections could not be made.
    cutoff_before_departure_min: Minutes = 40
    hub_cutoff_before_departure_min: Minutes = 15
    # An onward flight leaves the hub this often.
    onward_interval_min: int = Field(default=15, ge=2, le=60)

    check_in_mean_min: Minutes = 120
    check_in_std_min: Minutes = 30
    check_in_min_min: Minutes = 60
    check_in_max_min: Minutes = 240
    induction_p50_min: PositiveMinutes = 5
    induction_p90_min: PositiveMinutes = 15
    screening_p50_min: PositiveMinutes = 3
    screening_p90_min: PositiveMinutes = 10
    makeup_p50_min: PositiveMinutes = 10
    makeup_p90_min: PositiveMinutes = 25
    # Of the bags that would be too late, this share is rushed to the aircraft.
    rush_rate: Rate = 0.85
    # Loading is planned to end this long before the cutoff.
    load_margin_min: Minutes = 5

    out_of_order_rate: Rate = 0.05
    out_of_order_min_min: Minutes = 2
    out_of_order_max_min: Minutes = 6
    duplicate_rate: Rate = 0.02
    missing_scan_rate: Rate = 0.02
    miss_connection_rate: Rate = 0.02
    # "ScreenedAlarm (rare)", specification section 4.1.
    alarm_rate: Rate = 0.002

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        if abs(sum(self.bags_per_passenger) - 1) > 1e-9:
            raise ValueError(
                f"BAGGAGE_GENERATOR__BAGS_PER_PASSENGER must add up to 1: {list(self.bags_per_passenger)} does not"
            )
        return self

    @model_validator(mode="after")
    def _airport_is_not_the_hub(self) -> Self:
        if self.airport == self.hub:
            raise ValueError(f"BAGGAGE_GENERATOR__AIRPORT and BAGGAGE_GENERATOR__HUB are both {self.hub}")
        return self

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for lower, upper in (
            ("connection_min_min", "connection_max_min"),
            ("induction_p50_min", "induction_p90_min"),
            ("screening_p50_min", "screening_p90_min"),
            ("makeup_p50_min", "makeup_p90_min"),
            ("out_of_order_min_min", "out_of_order_max_min"),
        ):
            least, most = getattr(self, lower), getattr(self, upper)
            if least > most:
                names = (f"BAGGAGE_GENERATOR__{name}".upper() for name in (lower, upper))
                raise ValueError("{} must not be more than {}: {} and {}".format(*names, least, most))
        return self

    @model_validator(mode="after")
    def _means_within_bounds(self) -> Self:
        # Where hardly any value is within them, to draw one takes for ever.
        for name, unit in (("passengers", ""), ("connection", "_min"), ("check_in", "_min")):
            least, mean, most, std = (getattr(self, f"{name}_{what}{unit}") for what in ("min", "mean", "max", "std"))
            setting = f"BAGGAGE_GENERATOR__{name}_{{}}{unit}".upper().format
            if not least <= mean <= most:
                raise ValueError(
                    f"{setting('MEAN')} must be between the smallest and the largest value, {least} and {most}"
                )
            if std > 10 * (most - least):
                raise ValueError(f"{setting('STD')} must be at most ten times what is between {least} and {most}")
        return self


class BackupSettings(_Section):
    """Where backups of ClickHouse are on S3. Without keys the server has to have a role that may write there."""

    url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    access_key: str = ""
    secret_key: SecretStr = SecretStr("")


class MonitorSettings(_Section):
    """Where the monitor serves metrics for Prometheus."""

    address: Name = "127.0.0.1"
    port: Port = 9464


class LocalSettings(_Section):
    """The laptop runtime, `make run`."""

    state_dir: Path = Path(".local/state")
    # Downloads, kept by `make clean`.
    jar_dir: Path = Path(".local/jars")
    kafka_port: TwoPorts = 9092
    clickhouse_port: Port = 8123
    flink_port: TwoPorts = 8081
    task_managers: int = Field(default=1, ge=1)


LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda level: level.upper() if isinstance(level, str) else level),
]


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter=_DELIMITER, extra="forbid", enable_decoding=False
    )

    clock: ClockSettings = ClockSettings()
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    flink: FlinkSettings = FlinkSettings()
    rules: RulesSettings = RulesSettings()
    generator: GeneratorSettings = GeneratorSettings()
    monitor: MonitorSettings = MonitorSettings()
    backup: BackupSettings = BackupSettings()
    local: LocalSettings = LocalSettings()
    log_level: LogLevel = "INFO"

    def environment(self) -> dict[str, str]:
        """The environment variables that make these settings again in another process: all that is not a default."""
        variables = {}
        for name, value in self.model_dump(exclude_defaults=True).items():
            for field, content in value.items() if isinstance(value, dict) else [("", value)]:
                plain = content.get_secret_value() if isinstance(content, SecretStr) else to_jsonable_python(content)
                variables[_variable(name, field)] = plain if isinstance(plain, str) else json.dumps(plain)
        return variables


def read_settings() -> Settings:
    """The settings of the environment; where one is unknown or impossible, the program ends with a line about each.

    From here on no proxy of the environment is asked for an address of this machine, here or in a child process.
    """
    _bypass_proxies()
    unknown = list(_unknown(os.environ))
    if unknown:
        sys.exit("\n".join(unknown))
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit("\n".join(_refusals(error)))
    file = settings.clickhouse.password_file
    if file and not os.access(file, os.R_OK):
        sys.exit(f"error: {_variable('clickhouse', 'password_file')}={file}: it cannot be read")
    return settings


def _variable(*path: str) -> str:
    return (_PREFIX + _DELIMITER.join(filter(None, path))).upper()


def _known() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Section):
            yield from (_variable(name, inner) for inner in field.annotation.model_fields)
        else:
            yield _variable(name)


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    """A line about each variable that is meant for us, or is just a letter off, and is none of ours."""
    known = sorted(_known())
    for name in environment:
        ours = name.upper().startswith(_PREFIX)
        nearest = get_close_matches(name.upper(), known, n=1, cutoff=0 if ours else 0.9)
        if nearest and name.upper() not in known:
            yield f"error: {_shown('', name)}: there is no such setting; the nearest is {nearest[0]}"


def _refusals(error: ValidationError) -> Iterator[str]:
    """A line about each variable that is refused. Where values do not go together, the reason names their variables."""
    given = {name.upper(): value for name, value in os.environ.items()}
    seen = set()
    for refused in error.errors():
        reason = refused["msg"].removeprefix("Value error, ")
        variable = _variable(*(str(part) for part in refused["loc"][:2]))
        if variable not in given:
            yield f"error: {reason}"
        elif variable not in seen:
            seen.add(variable)
            yield f"error: {variable}={_shown(variable, given[variable])}: {reason}"


def _shown(variable: str, value: str) -> str:
    """A value for an error message: one short line, and nothing of a secret."""
    if re.search(r"PASSWORD$|SECRET|KEY$", variable):
        return "***"
    value = re.sub(r"//[^/@]*@", "//***@", value).encode("unicode_escape").decode()
    return value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…"


def _bypass_proxies() -> None:
    listed = [name for variable in ("no_proxy", "NO_PROXY") for name in os.environ.get(variable, "").split(",") if name]
    if "*" not in listed:
        names = ",".join(dict.fromkeys([*listed, "127.0.0.1", "localhost", "::1"]))
        os.environ |= {"no_proxy": names, "NO_PROXY": names}
