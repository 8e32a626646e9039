"""A model as one ONNX graph, for onnxruntime in any language."""

from lcx.export.onnx import LEVELS, Graph, export, feed

__all__ = [
    "LEVELS",
    "Graph",
    "export",
    "feed",
]
