"""The images, files, sound and film that hosts of the compatible family take where they differ: data, with sources."""

from __future__ import annotations

from collections.abc import Mapping

from llmstream.wire.part_rules import AS_TEXT, COMPATIBLE_PARTS, Kind, PartRule, PartRules, Way, by


def _rules(source: str, **kinds: PartRule | None) -> PartRules:
    """The family's rules with these differences; None: the host takes no such part."""
    changed: dict[Kind, PartRule | None] = {**COMPATIBLE_PARTS.kinds, **kinds}  # type: ignore[dict-item]  # kinds
    return PartRules(
        kinds={kind: rule for kind, rule in changed.items() if rule is not None}, source=source
    )


def _forms(**forms: str) -> PartRule:
    """A rule with a block for each way."""
    ways: Mapping[Way, str] = forms  # type: ignore[assignment]  # ways
    return PartRule(ways=ways)


_ONLY_DATA = by("data", form="image_url")
_TEXT_ALONE = PartRule(ways={"data": AS_TEXT.ways["data"]})

OPENROUTER_PARTS = _rules(
    "openrouter.ai/docs/guides/overview/multimodal: PDF by URL in `file_data`, sound as base64, film both ways",
    pdf=by("data", "url", "id", form="file"),
)
MISTRAL_PARTS = _rules(
    "Mistral's OpenAPI document: ImageURLChunk, DocumentURLChunk, FileChunk, AudioChunk",
    pdf=_forms(data="document_url", url="document_url", id="file_id"),
    document=_forms(data="document_url", url="document_url", id="file_id"),
    text=_forms(data=AS_TEXT.ways["data"], url="document_url", id="file_id"),
    audio=_forms(data="bare input_audio", url="bare input_audio"),
    video=None,
)
GROQ_PARTS = _rules(
    "console.groq.com/docs/vision: text and images; 4 MB of base64",
    image=by("data", "url", form="image_url", most=3),
    pdf=None,
    text=_TEXT_ALONE,
    document=None,
    audio=None,
    video=None,
)
MOONSHOT_PARTS = _rules(
    "platform.moonshot.ai/docs/guide/use-kimi-vision-model: images and film as base64; addresses aren't read",
    image=_ONLY_DATA,
    video=by("data", form="video_url"),
    pdf=None,
    document=None,
    text=_TEXT_ALONE,
    audio=None,
)
ZAI_PARTS = _rules(
    "docs.z.ai/guides/vlm: `image_url`, `video_url`, `file_url`",
    pdf=by("url", form="file_url"),
    document=by("url", form="file_url"),
    text=PartRule(ways={**_TEXT_ALONE.ways, "url": "file_url"}),
    audio=None,
)
ALIBABA_PARTS = _rules(
    "help.aliyun.com/zh/model-studio/qwen-omni: sound by address or as a data URL",
    audio=by("data", "url", form="addressed input_audio"),
    pdf=None,
    document=None,
    text=_TEXT_ALONE,
)
PERPLEXITY_PARTS = _rules(
    "docs.perplexity.ai/guides/file-attachments: `file_url`, an address",
    pdf=by("url", form="file_url"),
    document=by("url", form="file_url"),
    text=PartRule(ways={**_TEXT_ALONE.ways, "url": "file_url"}),
    audio=None,
    video=None,
)
OLLAMA_COMPATIBLE_PARTS = _rules(
    "ollama openai/openai.go: text and `image_url` alone; an address isn't read",
    image=_ONLY_DATA,
    pdf=None,
    text=_TEXT_ALONE,
    document=None,
    audio=None,
    video=None,
)
VLLM_PARTS = _rules(
    "docs.vllm.ai/en/latest/features/multimodal_inputs: `input_audio`, `audio_url`, `video_url`; no files",
    audio=_forms(data="input_audio", url="audio_url"),
    pdf=None,
    text=_TEXT_ALONE,
    document=None,
)
