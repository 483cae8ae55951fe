"""Training of the definitions in `model_defs`: packed crops, augmentation, targets, schedule."""
