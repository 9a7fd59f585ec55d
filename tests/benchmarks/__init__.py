"""Measurements that anyone can repeat; each prints both sides, the versions and the machine."""
