"""What a layer table costs on an accelerator: arrays in, arrays out."""
