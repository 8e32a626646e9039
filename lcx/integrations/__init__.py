"""Adapters for training frameworks and tuners, one file each. Importing one loads its framework; nothing inside lcx imports them."""
