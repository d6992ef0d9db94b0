"""Housekeeping: what keeps thousands of small commits a day from slowing anything down."""
