"""The members of Interactions that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
Sources: https://ai.google.dev/api/interactions-api, google-genai's InteractionSSEEvent, Interaction, Step and Content.
"""

from __future__ import annotations

EVENT = frozenset(
    {
        *("delta", "event_id", "event_type", "index", "interaction", "interaction_id"),
        *("continuation_token", "metadata", "status", "step", "step_usage", "usage"),
    }
)
INTERACTION = frozenset(
    {
        *("agent", "agent_config", "background", "cached_content", "continuation_ids"),
        *("continuation_token", "created", "environment", "environment_id", "error", "errors"),
        *("generation_config", "id", "input", "labels", "model", "object", "output_audio"),
        *("output_image", "output_text", "output_video", "previous_interaction_id"),
        *("response_format", "response_mime_type", "response_modalities", "role"),
        *("safety_settings", "service_tier", "status", "steps", "store", "system_instruction"),
        *("tools", "updated", "usage", "webhook_config"),
    }
)
ERRORS = frozenset({"error", "event_id", "event_type"})

TEXT = frozenset({"text", "type"})
"""The members of nearly every delta."""
OUTPUT_STEP = frozenset({"content", "error", "type"})
THOUGHT_STEP = frozenset({"signature", "summary", "type"})
CALL_STEP = frozenset({"arguments", "id", "name", "signature", "type"})
STEPS = {
    "model_output": OUTPUT_STEP,
    "thought": THOUGHT_STEP,
    "function_call": CALL_STEP,
}
DELTAS = {
    "text": TEXT | {"annotations"},
    "text_annotation_delta": frozenset({"annotations", "type"}),
    "arguments_delta": frozenset({"arguments", "type"}),
    "function_call": CALL_STEP,
    "thought_summary": frozenset({"content", "text", "type"}),
    "thought_signature": frozenset({"signature", "type"}),
}
"""Those of the deltas that mean one thing each. What a tool's delta says is the tool's own."""

MEDIA = frozenset({"data", "mime_type", "name", "type", "uri"})
"""Of a picture, a sound, a film or a document. Its other members go back with it."""
NO_SOURCES = frozenset({"speech_metadata", "word_info"})
"""Annotations that cite nothing: who speaks, and when which word is said."""
EMPTY_STEPS = frozenset({"user_input"})
"""Steps that the caller made: a stored interaction tells them again."""
