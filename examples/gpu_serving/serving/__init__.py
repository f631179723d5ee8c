"""A small inference server: scheduler, inputs, model, sampler, detokeniser, metrics."""
