"""The facts that a server tells of its models: those of its file or program, then the catalogue's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmstream.catalogue import ModelFacts, facts_of
from llmstream.web.app_state import Service

if TYPE_CHECKING:
    from llmstream.router import Candidate


def known_facts(service: Service, name: str) -> ModelFacts:
    """The facts about a model by the name that it has here. What nobody knows is None.

    Wait for `llmstream.catalogue.list_read` first: else the list may be read here, which takes half a second.
    """
    target = service.client.target(service.models[name])
    told = _told_by(service.facts.get(name))
    return told.over(facts_of(target.provider, target.model))


def _told_by(candidate: Candidate | None) -> ModelFacts:
    if candidate is None:
        return ModelFacts()
    taken = {"image": candidate.images, "file": candidate.files}
    is_told = candidate.images is not None or candidate.files is not None
    inputs = frozenset(name for name, is_taken in taken.items() if is_taken) if is_told else None
    return ModelFacts(
        context=candidate.context,
        inputs=inputs,
        tools=candidate.tools,
        schemas=candidate.schemas,
    )
