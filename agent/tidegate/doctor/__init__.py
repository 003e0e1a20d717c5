"""Check what keeps this host from being updated, with a remedy for each finding. One file for each area.

The checks read files, query services and connect to servers. They write nothing, take no lock and start no unit but
those that the bus activates for a query (polkitd, timedated); no code that this package can reach stages, arms or
reboots. Each file separates reading facts (``examine``) from evaluating them (``judge``), which is pure.
"""
