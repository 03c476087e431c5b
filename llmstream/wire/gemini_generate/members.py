"""The members of generateContent that are read, and those that mean nothing for the answer.

Any other that holds words is named in a STATUS, and is an error if nothing else of the answer was understood.
Sources: https://ai.google.dev/api/generate-content, google-genai's GenerateContentResponse and Candidate.
"""

from __future__ import annotations

import re
from typing import Any

CHUNK = frozenset(
    {
        "automaticFunctionCallingHistory",
        "candidates",
        "createTime",
        "error",
        "kind",
        "modelStatus",
        "modelVersion",
        "parsed",
        "promptFeedback",
        "responseId",
        "sdkHttpResponse",
        "usageMetadata",
    }
)
CANDIDATE = frozenset(
    {
        "avgLogprobs",
        "citationMetadata",
        "content",
        "continuationToken",
        "finishMessage",
        "finishReason",
        "groundingAttributions",
        "groundingMetadata",
        "index",
        "logprobsResult",
        "safetyRatings",
        "tokenCount",
        "urlContextMetadata",
    }
)
CONTENT = frozenset({"parts", "role"})
FEEDBACK = frozenset({"blockReason", "blockReasonMessage", "safetyRatings"})

PLAIN = frozenset({"text", "thought"})
"""Members of nearly every part."""
BESIDE = frozenset(
    {
        "audioMetadata",
        "audioTranscription",
        "documentMetadata",
        "mediaProcessing",
        "mediaResolution",
        "partMetadata",
        "speechMetadata",
        "spreadsheetMetadata",
        "thought",
        "thoughtSignature",
        "videoMetadata",
    }
)
"""Members of a part that say more of what is in it."""
PART = BESIDE | {
    "codeExecutionResult",
    "executableCode",
    "fileData",
    "functionCall",
    "inlineData",
    "text",
    "toolCall",
    "toolResponse",
}

CALL = frozenset({"args", "id", "name", "partialArgs", "thoughtSignature", "willContinue"})
BLOB = frozenset({"mimeType", "data", "displayName"})
LINK = frozenset({"mimeType", "fileUri", "displayName"})

_OPAQUE = frozenset(
    {
        *("args", "response", "partMetadata", "parsed", "labels"),
        *("parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"),
    }
)
"""Members that hold somebody's own JSON, of which no name may be changed."""
_UNDERSCORE = re.compile("_([a-z])")


def plainly(value: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """An object under Google's own names, if those are known ones."""
    renamed: dict[str, Any] = camel_case(value)
    return renamed if len(renamed.keys() & known) > len(value.keys() & known) else value


def camel_case(value: Any) -> Any:
    """The same JSON with Google's names: proxies that dump the SDK's objects write `finish_reason`."""
    if isinstance(value, list):
        return [camel_case(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        (named := _camel(name)): each if named in _OPAQUE else camel_case(each)
        for name, each in value.items()
    }


def _camel(name: str) -> str:
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name)
