"""Synthetic data of the shop and its customers, with a manifest of what each line must lead to."""

from ecommerce_lakehouse.generation.activation import generate_activation_data
from ecommerce_lakehouse.generation.manifest import (
    DatasetManifest,
    Expected,
    GenerationError,
    Manifest,
    read_manifests,
)
from ecommerce_lakehouse.generation.sample import generate_sample_data

__all__ = [
    "DatasetManifest",
    "Expected",
    "GenerationError",
    "Manifest",
    "generate_activation_data",
    "generate_sample_data",
    "read_manifests",
]
