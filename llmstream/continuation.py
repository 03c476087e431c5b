"""The continuation of a cut answer: the request for the rest, and the joint of the two pieces.

Only text is resumed. A model that takes a prefill is given its own words as the beginning of its answer; any other is
shown them and told to go on, and may then repeat some of them: `Overlap` takes that out. Unfinished tool calls and
reasoning are not sent: half of either can't be taken up again.
"""

from __future__ import annotations

from dataclasses import replace

from llmstream.messages import ChatRequest, Message, Part, TextPart

MAX_CONTINUATIONS = 2
"""How often one call goes on from what it has."""
WINDOW = 500
"""Characters of the shown text that a continuation may repeat."""
CHANCE = 8
"""Characters that a repetition has at least; a shorter one may be chance, such as a bracket."""
WORD = 3
"""The same for letters that begin the cut word again ("bro", "brown")."""

_GO_ON = (
    "The connection was lost while you were answering. Above is the beginning of your answer, exactly as far as it "
    "came. Continue from its very last character: do not repeat any of it, do not comment, do not apologise, and begin "
    "with a space or line break if one has to stand there."
)


def obstacle(request: ChatRequest, partial: Message | None) -> str | None:
    """Why this answer can't be taken up where it was cut; None if it can."""
    if partial is None:
        return "keep_message=False, so what was shown is not known"
    if partial.refusal:
        return "the model was refusing"
    if request.response_format is not None:
        return "response_format would make the model begin its document anew"
    return None


def continue_request(request: ChatRequest, partial: Message, *, prefill: bool) -> ChatRequest:
    """The request that asks for the rest of `partial`; the same request if there is no text yet."""
    text = partial.text
    if not text.strip():
        return request
    if prefill:
        # The one API that documents prefill refuses white space at its end.
        return replace(request, messages=[*request.messages, _assistant(text.rstrip())])
    return replace(
        request, messages=[*request.messages, _assistant(text), Message("user", [TextPart(_GO_ON)])]
    )


def _assistant(text: str) -> Message:
    parts: list[Part] = [TextPart(text)]
    return Message("assistant", parts)


class Overlap:
    """Takes out of a continuation's first words what repeats the end of `shown`, or all of it.

    Feed it the text as it comes, and `finish()` at its end: text is held only as long as it may still be a repetition.
    After a prefill only white space can be doubled, because only that was not sent. Linear in the text.
    """

    def __init__(self, shown: str, *, prefill: bool = False) -> None:
        self._shown = shown
        self._tail = shown[len(shown.rstrip()) :] if prefill else shown[-WINDOW:]
        self._prefill = prefill
        self._held: list[str] = []
        self._size = 0
        self._is_all_again = not prefill  # so far it is the beginning of `shown`
        self.done = not self._tail

    def feed(self, text: str) -> str:
        """The new text that may be shown now."""
        if self.done:
            return text
        left = max(len(self._shown) - self._size, 0)
        self._is_all_again = self._is_all_again and self._shown.startswith(text[:left], self._size)
        self._held.append(text)
        self._size += len(text)
        return "" if self._is_undecided() else self.finish()

    def finish(self, *, cut: bool = False) -> str:
        """The text held back, without its repetition.

        `cut`: the text didn't come to its end. What is still undecided is then dropped.
        """
        if self.done:
            return ""
        is_undecided = self._is_undecided()
        self.done = True
        held = "".join(self._held)
        self._held.clear()
        is_repetition = not self._prefill and _is_much(held)
        if is_undecided and (cut or is_repetition):
            return ""
        says_all_again = self._is_all_again and self._size >= len(self._shown)
        if says_all_again and _is_much(self._shown):
            return held[len(self._shown) :]
        return held[self._count_repeated(held) :]

    def _is_undecided(self) -> bool:
        """Whether what is held may still turn out to be a repetition, or to be none."""
        may_be_all = self._is_all_again and self._size < len(self._shown)
        return may_be_all or self._in_tail()

    def _in_tail(self) -> bool:
        if self._size >= len(self._tail):
            return False
        held, tail = "".join(self._held), self._tail
        return any(tail.startswith(held, start) for start in range(len(tail) - len(held)))

    def _count_repeated(self, held: str) -> int:
        """How many characters at the beginning of `held` repeat the end of what was shown."""
        for size in range(min(len(held), len(self._tail)), 0, -1):
            if held.startswith(self._tail[-size:]) and self._is_believed(size):
                return size
        return 0

    def _is_believed(self, size: int) -> bool:
        """Whether so many equal characters are a repetition, and not chance."""
        if self._prefill:
            return True
        repeated, before = self._shown[-size:], self._shown[:-size][-1:]
        is_cut_word = size >= WORD and repeated.isalpha() and not before.isalnum()
        return is_cut_word or _is_much(repeated)


def _is_much(text: str) -> bool:
    return len(text) >= CHANCE and sum(map(str.isalnum, text)) >= CHANCE // 2
