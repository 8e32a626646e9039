"""Adapters for training frameworks and tuners, one file each; each loads its own framework, and lcx loads none of them."""
