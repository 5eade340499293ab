"""Every setting, in one place: the environment variables BAGGAGE_*, nested with __ (design: Top level).

The defaults are the numbers of the specification; its fixed rules (35 + 10 minutes, 95 %, ...) are constants of
`baggage.domain`, not settings.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from baggage.clock import Clock

Rate = Annotated[float, Field(ge=0, le=1)]
Port = Annotated[int, Field(ge=1, le=65535)]


class ClockSettings(BaseModel):
    """The pipeline's clock (design: Clock). `anchor` and `started` are needed at any speed but 1."""

    speed: float = Field(default=1.0, gt=0, le=10_000)
    anchor: dt.datetime | None = None
    started: dt.datetime | None = None

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


class KafkaSettings(BaseModel):
    """The broker, and how topics are created on it."""

    bootstrap_servers: str = "127.0.0.1:9092"
    replication_factor: int = Field(default=1, ge=1)
    min_insync_replicas: int = Field(default=1, ge=1)


class ClickHouseSettings(BaseModel):
    """The ClickHouse HTTP interface."""

    host: str = "127.0.0.1"
    port: Port = 8123
    user: str = "default"
    password: SecretStr = SecretStr("")
    database: str = Field(default="baggage_poc", pattern=r"^[a-z][a-z0-9_]*$")
    # ClickHouse's own block compression, which the real server speaks and the bare engine does not.
    compress: bool = True


class FlinkSettings(BaseModel):
    """The Flink session cluster and how jobs run on it (specification section 6, common settings)."""

    rest_url: str = "http://127.0.0.1:8081"
    parallelism: int = Field(default=1, ge=1)
    state_dir: str = "file:///tmp/baggage-flink"
    checkpoint_interval: dt.timedelta = dt.timedelta(seconds=30)
    # Further Flink options of every job, e.g. python.executable where the cluster's Python is another.
    job_options: dict[str, str] = {}


class RulesSettings(BaseModel):
    """Choices among the rules; the rules themselves are in `baggage.domain`."""

    # For sites where level 1 alarms are routine: an alarm that is cleared is no exception any more.
    cleared_ends_exception: bool = False


class GeneratorSettings(BaseModel):
    """The mock day (specification section 9). Minutes are minutes of the pipeline's time."""

    seed: int = Field(default=1, ge=0)
    airport: str = Field(default="LHR", pattern=r"^[A-Z]{3}$")
    hub: str = Field(default="AMS", pattern=r"^[A-Z]{3}$")
    flights: int = Field(default=120, ge=24)

    passengers_mean: float = 160
    passengers_std: float = 30
    passengers_min: int = 80
    passengers_max: int = 240
    # Probability of 0, 1, 2, 3 bags for one passenger.
    bags_per_passenger: tuple[float, float, float, float] = (0.15, 0.55, 0.25, 0.05)

    transfer_ratio: Rate = 0.30
    connection_mean_min: float = 80
    connection_std_min: float = 20
    connection_min_min: float = 45
    connection_max_min: float = 180

    # How long before departure bags are closed; at the hub less, or the shortest connections could not be made.
    cutoff_before_departure_min: float = 40
    hub_cutoff_before_departure_min: float = 15
    # An onward flight leaves the hub this often.
    onward_interval_min: int = Field(default=15, ge=2, le=60)

    check_in_mean_min: float = 120
    check_in_std_min: float = 30
    check_in_min_min: float = 60
    check_in_max_min: float = 240
    induction_p50_min: float = 5
    induction_p90_min: float = 15
    screening_p50_min: float = 3
    screening_p90_min: float = 10
    makeup_p50_min: float = 10
    makeup_p90_min: float = 25
    # Of the bags that would be too late, this share is rushed to the aircraft.
    rush_rate: Rate = 0.85
    # Loading is planned to end this long before the cutoff.
    load_margin_min: float = 5

    out_of_order_rate: Rate = 0.05
    out_of_order_min_min: float = 2
    out_of_order_max_min: float = 6
    duplicate_rate: Rate = 0.02
    missing_scan_rate: Rate = 0.02
    miss_connection_rate: Rate = 0.02
    # "ScreenedAlarm (rare)", specification section 4.1.
    alarm_rate: Rate = 0.002

    @model_validator(mode="after")
    def _probabilities(self) -> Self:
        if abs(sum(self.bags_per_passenger) - 1) > 1e-9:
            raise ValueError("BAGGAGE_GENERATOR__BAGS_PER_PASSENGER must add up to 1")
        return self

    @model_validator(mode="after")
    def _means_within_bounds(self) -> Self:
        # Where hardly any value is within them, to draw one takes for ever.
        for name, unit in (("passengers", ""), ("connection", "_min"), ("check_in", "_min")):
            least, mean, most = (getattr(self, f"{name}_{what}{unit}") for what in ("min", "mean", "max"))
            if not least <= mean <= most:
                setting = f"BAGGAGE_GENERATOR__{name}_MEAN{unit}".upper()
                raise ValueError(f"{setting} must be between the smallest and the largest value, {least} and {most}")
        return self


class LocalSettings(BaseModel):
    """The laptop runtime, `make run`."""

    state_dir: Path = Path(".local/state")
    # Downloads, kept by `make clean`.
    jar_dir: Path = Path(".local/jars")
    kafka_port: Port = 9092
    clickhouse_port: Port = 8123
    flink_port: Port = 8081
    task_managers: int = Field(default=1, ge=1)


class Settings(BaseSettings):
    """All settings; read them once, at the start of a process."""

    model_config = SettingsConfigDict(env_prefix="BAGGAGE_", env_nested_delimiter="__", extra="forbid")

    clock: ClockSettings = ClockSettings()
    kafka: KafkaSettings = KafkaSettings()
    clickhouse: ClickHouseSettings = ClickHouseSettings()
    flink: FlinkSettings = FlinkSettings()
    rules: RulesSettings = RulesSettings()
    generator: GeneratorSettings = GeneratorSettings()
    local: LocalSettings = LocalSettings()
    log_level: str = "INFO"

    def environment(self) -> dict[str, str]:
        """The environment variables that make these settings again in another process: all that is not a default."""
        chosen = self.model_dump(mode="json", exclude_defaults=True)
        if "password" in chosen.get("clickhouse", {}):
            chosen["clickhouse"]["password"] = self.clickhouse.password.get_secret_value()
        variables = {}
        for name, value in chosen.items():
            fields = value.items() if isinstance(value, dict) else [(None, value)]
            for field, content in fields:
                variable = f"BAGGAGE_{name}__{field}" if field else f"BAGGAGE_{name}"
                variables[variable.upper()] = content if isinstance(content, str) else json.dumps(content)
        return variables
