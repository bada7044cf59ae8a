"""Natter on one machine: the broker and the five services, kept up, their logs prefixed."""
