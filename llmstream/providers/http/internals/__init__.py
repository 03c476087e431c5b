"""All that rests on private parts of httpcore2, h11, anyio and aiohttp, which may change with any release.

Each trick has a plain twin, which is right too, only dearer or less careful. Where a trick doesn't find what it knows,
it steps aside for its twin, with one warning.
"""
