import os

# From 1.29 on, onnxruntime reports to its maker what it runs, unless told otherwise before it is imported. Natter sends
# nothing to anybody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
