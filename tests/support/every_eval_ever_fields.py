"""The fields of an aggregate record of Every Eval Ever 0.3.0 that we write: which there are, which
are required, and what values they take, as its published JSON schema has them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Texts = dict[str, str]


class Fields(BaseModel):
    """No other field, and no value that would have to be converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SourceMetadata(Fields):
    source_name: str | None = None
    source_type: Literal["documentation", "evaluation_run"]
    source_organization_name: str
    evaluator_relationship: Literal["first_party", "third_party", "collaborative", "other"]
    additional_details: Texts = {}


class EvalLibrary(Fields):
    name: str
    version: str
    additional_details: Texts = {}


class InferenceEngine(Fields):
    name: str
    version: str


class ModelDetails(BaseModel):
    """Texts of any name, and two that are required."""

    model_config = ConfigDict(extra="allow", strict=True)
    __pydantic_extra__: Texts

    deployment_type: Literal["self_deployed", "externally_managed", "unknown"]
    model_availability: Literal["open_weights", "closed_weights", "unknown"]


class ModelInfo(Fields):
    name: str
    id: str = Field(pattern="^[^/]+/[^/]+$")
    developer: str | None = None
    inference_engine: InferenceEngine | None = None
    additional_details: ModelDetails


class HubSource(Fields):
    dataset_name: str
    source_type: Literal["hf_dataset"]
    hf_repo: str
    hf_split: str | None = None
    samples_number: int | None = None
    additional_details: Texts = {}


class UrlSource(Fields):
    dataset_name: str
    source_type: Literal["url"]
    url: list[str] = Field(min_length=1)
    additional_details: Texts = {}


class OtherSource(Fields):
    dataset_name: str
    source_type: Literal["other"]
    additional_details: Texts = {}


class MetricConfig(Fields):
    evaluation_description: str | None = None
    metric_id: str
    metric_name: str | None = None
    metric_unit: str | None = None
    metric_parameters: dict[str, str | float | bool | None] = {}
    lower_is_better: bool
    score_type: Literal["continuous"]
    min_score: float | Literal["-Infinity"]
    max_score: float | Literal["Infinity"]


class ConfidenceInterval(Fields):
    lower: float
    upper: float
    confidence_level: float = Field(ge=0, le=1)
    method: str | None = None


class Uncertainty(Fields):
    confidence_interval: ConfidenceInterval | None = None
    num_samples: int | None = None
    num_bootstrap_samples: int | None = None


class ScoreDetails(Fields):
    score: float
    details: Texts = {}
    uncertainty: Uncertainty = Uncertainty()


class GenerationArgs(Fields):
    max_tokens: int | None = Field(None, ge=1)
    execution_command: str | None = None


class GenerationConfig(Fields):
    generation_args: GenerationArgs
    additional_details: Texts = {}


class EvaluationResult(Fields):
    evaluation_result_id: str
    evaluation_name: str
    source_data: HubSource | UrlSource | OtherSource = Field(discriminator="source_type")
    evaluation_timestamp: str | None = None
    metric_config: MetricConfig
    score_details: ScoreDetails
    generation_config: GenerationConfig | None = None

    @model_validator(mode="after")
    def _within_its_ends(self) -> EvaluationResult:
        ends = float(self.metric_config.min_score), float(self.metric_config.max_score)
        assert ends[0] <= self.score_details.score <= ends[1]
        return self


class EvaluationLog(Fields):
    schema_version: Literal["0.3.0"]
    evaluation_id: str
    evaluation_timestamp: str | None = None
    retrieved_timestamp: str = Field(pattern=r"^\d+$")  # seconds of the Unix epoch, as a text
    source_metadata: SourceMetadata
    eval_library: EvalLibrary
    model_info: ModelInfo
    evaluation_results: list[EvaluationResult]
