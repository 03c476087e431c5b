"""Who may do what: a session's token opens its own user's conversations, and nothing else does or is said."""

from __future__ import annotations

import contextlib
import hmac
import logging
import traceback

import pytest
from pydantic import ValidationError

from llmstream.conversations import AccessError, ChatContext, ConversationRequest, SQLiteStore
from tests.conversations.talk import ALICE, BOB, CUT, begin, enter, read, scripted

ASK = ConversationRequest(query="hi")


def with_conversation(context: ChatContext, id: str) -> ChatContext:
    return context.model_copy(update={"conversation_id": id})


CALLS = {
    "chat": lambda client, context: client.chat(context, ASK),
    "chat_stream": lambda client, context: read(client.chat_stream(context, ASK)),
    "events": lambda client, context: read(client.events(context, ASK)),
    "conversation": lambda client, context: client.conversation(context),
    "turns": lambda client, context: client.turns(context),
    "delete": lambda client, context: client.delete_conversation(context),
}
SESSION_CALLS = {
    "start": lambda client, context: client.start_conversation(context),
    "list": lambda client, context: client.conversations(context),
    "import": lambda client, context: client.import_conversation(context, "{}"),
}


@pytest.mark.parametrize("name", CALLS)
async def test_every_call_needs_the_right_session(store, name):
    """An unknown session, a wrong token, an unknown conversation, another's: one error, the same to the letter."""
    provider, client = scripted(store=store)
    conversation = await begin(client)
    mine = conversation._context
    strangers = [
        mine.model_copy(update={"session_id": "nobody"}),
        mine.model_copy(update={"token": "guess"}),
        mine.model_copy(update={"token": mine.token + "x"}),
        mine.model_copy(update={"token": "é€"}),
        with_conversation(mine, "nothing"),
        with_conversation(await enter(client, BOB), conversation.conversation_id),
        with_conversation(
            await enter(client, ALICE.model_copy(update={"instance_id": "i-2"})),
            conversation.conversation_id,
        ),
        with_conversation(
            await enter(client, ALICE.model_copy(update={"project_id": "p-2"})),
            conversation.conversation_id,
        ),
    ]
    errors = set()
    for stranger in strangers:
        with pytest.raises(AccessError) as refused:
            await CALLS[name](client, stranger)
        errors.add(str(refused.value))
    assert len(errors) == 1
    assert not provider.requests
    assert await conversation.turns() == []


@pytest.mark.parametrize("name", SESSION_CALLS)
async def test_calls_without_a_conversation_need_the_token_too(store, name):
    """Starting, listing, importing."""
    _, client = scripted(store=store)
    mine = await enter(client)
    for stranger in (
        mine.model_copy(update={"session_id": "x"}),
        mine.model_copy(update={"token": "guess"}),
    ):
        with pytest.raises(AccessError):
            await SESSION_CALLS[name](client, stranger)


async def test_held_conversations_prove_themselves_anew(store):
    """One that was taken from another's session is of no use, either."""
    _, client = scripted(["hi"], store=store)
    conversation = await begin(client)
    conversation._context = await enter(client, BOB)
    conversation._context.conversation_id = conversation.conversation_id
    for attempt in (
        conversation.fork,
        conversation.export,
        conversation.history,
        lambda: read(conversation.retry()),
    ):
        with pytest.raises(AccessError):
            await attempt()


async def test_a_user_sees_the_own_conversations_only(store):
    """In every session of that user, oldest first; another instance or project is another place."""
    _, client = scripted(["hi"], store=store)
    first = await begin(client, title="1")
    second = await begin(client, title="2")
    await begin(client, BOB)
    await begin(client, ALICE.model_copy(update={"project_id": "p-2"}))
    again = await enter(client)
    assert [each.title for each in await client.conversations(again)] == ["1", "2"]
    same = await client.conversation(with_conversation(again, first.conversation_id))
    await same.chat("hi")
    assert len(await first.turns()) == 1
    assert await second.turns() == []


async def test_owners_are_not_mixed_up_by_their_spelling(store):
    """Whatever characters their ids have."""
    _, client = scripted(store=store)
    here = {"instance_id": "a", "user_id": "b\nc", "project_id": "d"}
    there = {"instance_id": "a\nb", "user_id": "c", "project_id": "d"}
    await begin(client, ALICE.model_copy(update=here))
    assert await client.conversations(await enter(client, ALICE.model_copy(update=there))) == []
    quoted = {"instance_id": 'a", "b', "user_id": "c", "project_id": "d"}
    assert await client.conversations(await enter(client, ALICE.model_copy(update=quoted))) == []


async def test_tokens_are_unguessable_and_compared_in_constant_time(monkeypatch):
    """256 bits, all different; the comparison takes the hashes, also where there is no session."""
    _, client = scripted()
    sessions = [await client.session(ALICE) for _ in range(100)]
    assert (
        len({session.token for session in sessions})
        == len({session.session_id for session in sessions})
        == 100
    )
    assert all(len(session.token) >= 43 for session in sessions)
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(
        hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b)
    )
    await client.start_conversation(
        ChatContext(session_id=sessions[0].session_id, token=sessions[0].token)
    )
    with pytest.raises(AccessError):
        await client.start_conversation(ChatContext(session_id="nobody", token="guess"))
    assert len(compared) == 2
    assert compared[0][0] == compared[0][1]
    assert all(len(each) == 64 for pair in compared for each in pair)


async def test_the_token_is_nowhere(tmp_path, caplog):
    """Not in reprs, errors, tracebacks, logs, chunks, exports or the store's file."""
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "c.db"
    store = SQLiteStore(path)
    _, client = scripted(["hi"], [CUT], ["half", "more"], store=store)
    session = await client.session(ALICE)
    context = ChatContext(session_id=session.session_id, token=session.token)
    conversation = await client.start_conversation(context)
    seen = [
        repr(session),
        repr(context),
        str(context),
        repr(conversation),
        repr(client),
        repr(store),
    ]
    seen += [repr(chunk) for chunk in await read(conversation.chat_stream("hi"))]
    seen += [str(await conversation.export()), repr(await conversation.turns())]
    for attempt in (
        lambda: conversation.chat("ho"),
        lambda: conversation.chat("ho", max_tokens=-1),
        lambda: client.chat(with_conversation(context, "x"), ASK),
        lambda: client.chat(context, ASK),
    ):
        with contextlib.suppress(Exception):
            try:
                await attempt()
            except Exception:
                seen.append(traceback.format_exc())
                raise
    with pytest.raises(ValidationError) as wrong:
        ChatContext(session_id="", token=session.token, conversation=1)
    seen.append(str(wrong.value))
    with pytest.raises(ValidationError) as wrong:
        ChatContext(token=[session.token])
    seen.append(str(wrong.value))
    await store.aclose()
    assert len(seen) > 12
    assert not [text for text in [*seen, caplog.text] if session.token in text]
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert session.session_id.encode() in kept
    assert session.token.encode() not in kept


@pytest.mark.parametrize("name", ["attachments", "context", "stop"])
def test_a_list_of_junk_makes_no_error_for_each_piece(name) -> None:
    with pytest.raises(ValidationError) as wrong:
        ConversationRequest.model_validate({"query": "hi", name: [1] * 1000})
    assert wrong.value.error_count() <= 2  # of a union each member says why
