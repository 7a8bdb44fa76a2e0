"""The exporter: signatures, conversion, operator audit, parity check and manifest."""

from tinytl_tf import keras_backend  # noqa: F401, before anything imports Keras
from tinytl_tf.export.exporter import export
from tinytl_tf.export.operator_audit import audit
from tinytl_tf.export.parity import check_parity
from tinytl_tf.export.signatures import TrainableModule

__all__ = [
    "TrainableModule",
    "audit",
    "check_parity",
    "export",
]
