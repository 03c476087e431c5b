"""Histories made to fit the format, the host and the model that they go to.

Every renderer calls `fit_history` and `fit_tools` first, and then renders what they return part by part. What a target
takes stands as data in `rules.py`; each format and each host's variant chooses its rules.

Nothing depends on what comes later, so that what was sent once is sent so again: a call keeps its id for the whole
conversation. There is one exception. A result that comes late changes what was sent about its call.
"""
