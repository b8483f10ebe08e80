"""What counts as healthy in an environment: `HealthTargets`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DatasetTargets(BaseModel):
    """One dataset's own targets, in seconds; None leaves the environment's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    freshness_seconds: int | None = Field(default=None, ge=1)
    latency_seconds: int | None = Field(default=None, ge=1)


class HealthTargets(BaseModel):
    """Targets of the health check, over the last `period_days` days.

    A healthy lakehouse completes more than `success_rate_percent` of its updates, and each dataset has fewer
    than `expectation_failure_percent` failures per hundred records; a record that fails two expectations is
    two failures. Freshness is a dataset's age; latency is the time from an update's start until the dataset
    is complete. `datasets` holds exceptions by table name. End-to-end latency is the time from a file's
    arrival until an update that read it has completed. The cost per GB of new raw data is in run seconds on a
    laptop and in US dollars at list price on Databricks. Customer.io answers more than
    `activation_success_percent` of the requests, within `activation_response_seconds` on average.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    period_days: int = Field(ge=1, le=365)
    success_rate_percent: float = Field(ge=0, le=100)
    expectation_failure_percent: float = Field(ge=0, le=100)
    freshness_seconds: int = Field(ge=1)
    latency_seconds: int = Field(ge=1)
    end_to_end_seconds: int = Field(ge=1)
    datasets: dict[str, DatasetTargets] = {}
    run_seconds_per_gb: float = Field(gt=0)
    usd_per_gb: float = Field(gt=0)
    activation_success_percent: float = Field(default=95.0, ge=0, le=100)
    activation_response_seconds: float = Field(default=5.0, gt=0)

    def freshness_of(self, dataset: str) -> int:
        """The greatest age of a dataset, in seconds."""
        return self._own(dataset).freshness_seconds or self.freshness_seconds

    def latency_of(self, dataset: str) -> int:
        """The longest time from an update's start until the dataset is complete, in seconds."""
        return self._own(dataset).latency_seconds or self.latency_seconds

    def _own(self, dataset: str) -> DatasetTargets:
        return self.datasets.get(dataset.split(".")[-1]) or DatasetTargets()
