import os

# From 1.29 on, onnxruntime reports to its maker what it runs, unless told otherwise before it is imported. Natter sends
# nothing to anybody.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# numpy's matrix product would start a thread a core, which spin for a while each time: here all is small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
