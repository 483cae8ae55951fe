"""PyTorch definitions of the published systems, for export and training only; inference never imports them."""
