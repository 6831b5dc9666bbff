"""Early-exit networks: backbones, exits, quantization, data, training."""
