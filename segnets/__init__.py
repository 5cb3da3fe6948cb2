"""Networks that segment directly from undersampled k-space: models, data, training, evaluation."""
