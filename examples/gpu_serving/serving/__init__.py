"""An inference server in small: scheduler, input preparation, model, sampler, detokeniser, metrics."""
