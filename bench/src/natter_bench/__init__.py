import os

# From 1.29 on, onnxruntime reports to its maker what it runs, unless told otherwise before it is imported. The caller's
# voice runs on it, and the bench sends nothing to anybody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
