"""Code generated from `proto/natter`; made by `make proto`, imported through `natter_proto`."""
