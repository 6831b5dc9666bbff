"""Trained networks as files that other runtimes run: ONNX with quantizers (QCDQ, QONNX) or a PyTorch program."""
